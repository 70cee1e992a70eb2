/**
 * Create, get, list, update and delete, once for every kind of resource: existence, revisions, pages. A service adds
 * the names of its messages and what is particular to its kind.
 */
import { GatewayError } from "../errors/fault.ts";
import { type ResourceKind, tenantKinds } from "../state/resources.ts";
import type { StoredResource } from "../storage/store.ts";
import type { Caller } from "./caller.ts";
import type { StateWriter, Written } from "./change-state.ts";
import { paginate } from "./page-token.ts";
import { positionOf, type ResourcePlace, type StateChange, type StateView } from "./state-view.ts";
import { namedTenant, notThere, withOwnTenant } from "./tenants.ts";

/** The fields every write request has. */
export interface WriteRequest {
  readonly expected_state_revision: number;
  readonly validate_only: boolean;
}

export interface PageRequest {
  readonly page_size: number;
  readonly page_token: string;
}

export interface ResourceCrudDeps<M> {
  readonly state: StateWriter;
  readonly kind: ResourceKind;
  /** As an operator calls it: `client`. */
  readonly noun: string;
  readonly nameOf: (message: M) => string;
  readonly toResource: (message: M, previous: StoredResource | undefined, caller: Caller) => object;
  readonly fromStored: (stored: StoredResource) => M;
  /** Another kind whose names are of the same space: neither may take what the other has. */
  readonly sharesNamesWith?: ResourceKind;
  /** Further changes made with a delete: what belongs to the resource goes with it. */
  readonly alsoDelete?: (view: StateView, name: string) => readonly StateChange[];
}

export interface ResourceCrud<M> {
  create(
    message: M,
    request: WriteRequest,
    caller: Caller,
    more?: readonly StateChange[],
  ): Promise<{ readonly message: M; readonly state_revision: number }>;
  /** `tenant` counts where names are unique within one; empty = the caller's own, or common. */
  get(name: string, caller: Caller, tenant?: string): Promise<M>;
  list(
    request: PageRequest,
    caller: Caller,
  ): Promise<{
    readonly messages: readonly M[];
    readonly next_page_token: string;
    readonly state_revision: number;
  }>;
  update(
    message: M,
    request: WriteRequest,
    caller: Caller,
  ): Promise<{ readonly message: M; readonly state_revision: number }>;
  delete(
    name: string,
    request: WriteRequest,
    caller: Caller,
    tenant?: string,
  ): Promise<{ readonly state_revision: number }>;
}

export function createResourceCrud<M extends object>(deps: ResourceCrudDeps<M>): ResourceCrud<M> {
  const { state, kind, noun, nameOf, fromStored } = deps;
  const placeOf = (name: string, caller: Caller, tenant = ""): ResourcePlace => ({
    kind,
    name,
    tenant: tenantKinds.has(kind) ? namedTenant(caller, tenant) : undefined,
  });
  const placeOfMessage = (message: M, caller: Caller) =>
    placeOf(nameOf(message), caller, "tenant" in message ? String(message.tenant) : "");
  const need = (view: StateView, { name, tenant }: ResourcePlace) =>
    needResource(view, kind, noun, name, tenant);
  const answer = (written: Written, place: ResourcePlace) => ({
    message: fromStored(need(written.after, place)),
    state_revision: written.stateRevision,
  });
  return {
    async create(message, request, caller, more = []) {
      const place = placeOfMessage(message, caller);
      const mutate = (view: StateView) => {
        const body = withOwnTenant(caller, deps.toResource(message, undefined, caller));
        needFree(view, place, noun, deps.sharesNamesWith);
        return [{ ...place, body }, ...more];
      };
      return answer(await writeAs(state, mutate, request, caller), place);
    },
    async get(name, caller, tenant) {
      return fromStored(need(await state.read(caller), placeOf(name, caller, tenant)));
    },
    async list(request, caller) {
      const view = await state.read(caller);
      const question = [kind, caller.tenant ?? null];
      const { page, nextPageToken } = paginate(view.list(kind), positionOf, question, request);
      return {
        messages: page.map(fromStored),
        next_page_token: nextPageToken,
        state_revision: view.stateRevision,
      };
    },
    async update(message, request, caller) {
      const place = placeOfMessage(message, caller);
      const mutate = (view: StateView) => {
        const previous = need(view, place);
        const body = withOwnTenant(caller, deps.toResource(message, previous, caller));
        return [{ ...place, body }];
      };
      return answer(await writeAs(state, mutate, request, caller), place);
    },
    async delete(name, request, caller, tenant) {
      const place = placeOf(name, caller, tenant);
      const mutate = (view: StateView): readonly StateChange[] => {
        need(view, place);
        return [{ ...place, delete: true }, ...(deps.alsoDelete?.(view, name) ?? [])];
      };
      const { stateRevision } = await writeAs(state, mutate, request, caller);
      return { state_revision: stateRevision };
    },
  };
}

/** Writes under the request's conditions and notes the new revision in the record. `draft`: whose changes they are. */
export async function writeAs(
  state: StateWriter,
  mutate: (view: StateView) => readonly StateChange[],
  request: WriteRequest,
  caller: Caller,
  draft?: string,
): Promise<Written> {
  if (request.expected_state_revision < 0) {
    throw new GatewayError("invalid-params", "expected_state_revision must not be negative");
  }
  const written = await state.write(mutate, {
    by: caller,
    expectedRevision: request.expected_state_revision,
    validateOnly: request.validate_only,
    draft,
  });
  const { stateRevision, tenant } = written;
  caller.note(tenant === undefined ? { stateRevision } : { stateRevision, tenant });
  return written;
}

/** Throws where there is none, or none that the view's operator may see: in the same words. */
export function needResource(
  view: StateView,
  kind: ResourceKind,
  noun: string,
  name: string,
  tenant?: string,
): StoredResource {
  const found = view.find(kind, name, tenant);
  if (found !== undefined) return found;
  throw notThere(noun, name, view.isTaken({ kind, name, tenant }));
}

/**
 * A name is refused in the same words whoever has it. That it is taken cannot be hidden where names are unique for all
 * tenants, since the only other way would be to let it be taken twice; whose it is, and what of, is not said.
 */
function needFree(
  view: StateView,
  place: ResourcePlace,
  noun: string,
  other: ResourceKind | undefined,
): void {
  const { name } = place;
  const isFree = !view.isTaken(place) && !(other && view.isTaken({ kind: other, name }));
  if (isFree) return;
  throw new GatewayError("already-exists", `There is a ${noun} "${name}" already`);
}
