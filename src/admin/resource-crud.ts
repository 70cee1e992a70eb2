/**
 * Create, get, list, update and delete, once for every kind of resource: existence, revisions, pages. A service adds
 * the names of its messages and what is particular to its kind.
 */
import { GatewayError } from "../errors/fault.ts";
import type { ResourceKind } from "../state/resources.ts";
import type { StoredResource } from "../storage/store.ts";
import type { Caller } from "./caller.ts";
import type { StateChange, StateView, StateWriter, Written } from "./change-state.ts";
import { paginate } from "./page-token.ts";

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
  readonly toResource: (message: M, previous: StoredResource | undefined) => object;
  readonly fromStored: (stored: StoredResource) => M;
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
  get(name: string): Promise<M>;
  list(request: PageRequest): Promise<{
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
  ): Promise<{ readonly state_revision: number }>;
}

export function createResourceCrud<M>(deps: ResourceCrudDeps<M>): ResourceCrud<M> {
  const { state, kind, noun, nameOf, fromStored } = deps;
  const answer = (written: Written, name: string) => ({
    message: fromStored(needResource(written.after, kind, noun, name)),
    state_revision: written.stateRevision,
  });
  return {
    async create(message, request, caller, more = []) {
      const name = nameOf(message);
      const mutate = (view: StateView) => {
        if (view.find(kind, name) !== undefined) {
          throw new GatewayError("already-exists", `There is a ${noun} "${name}" already`);
        }
        return [{ kind, name, body: deps.toResource(message, undefined) }, ...more];
      };
      return answer(await writeAs(state, mutate, request, caller), name);
    },
    async get(name) {
      return fromStored(needResource(await state.read(), kind, noun, name));
    },
    async list(request) {
      const view = await state.read();
      const stored = view.list(kind);
      const { page, nextPageToken } = paginate(stored, (one) => one.name, kind, request);
      return {
        messages: page.map(fromStored),
        next_page_token: nextPageToken,
        state_revision: view.stateRevision,
      };
    },
    async update(message, request, caller) {
      const name = nameOf(message);
      const mutate = (view: StateView) => {
        const previous = needResource(view, kind, noun, name);
        return [{ kind, name, body: deps.toResource(message, previous) }];
      };
      return answer(await writeAs(state, mutate, request, caller), name);
    },
    async delete(name, request, caller) {
      const mutate = (view: StateView): readonly StateChange[] => {
        needResource(view, kind, noun, name);
        return [{ kind, name, delete: true }, ...(deps.alsoDelete?.(view, name) ?? [])];
      };
      const { stateRevision } = await writeAs(state, mutate, request, caller);
      return { state_revision: stateRevision };
    },
  };
}

/** Writes under the request's conditions and notes the new revision in the record. */
export async function writeAs(
  state: StateWriter,
  mutate: (view: StateView) => readonly StateChange[],
  request: WriteRequest,
  caller: Caller,
): Promise<Written> {
  if (request.expected_state_revision < 0) {
    throw new GatewayError("invalid-params", "expected_state_revision must not be negative");
  }
  const written = await state.write(mutate, {
    expectedRevision: request.expected_state_revision,
    validateOnly: request.validate_only,
  });
  caller.note({ stateRevision: written.stateRevision });
  return written;
}

export function needResource(
  view: StateView,
  kind: ResourceKind,
  noun: string,
  name: string,
): StoredResource {
  const found = view.find(kind, name);
  if (found !== undefined) return found;
  throw new GatewayError("resource-not-found", `There is no ${noun} "${name.slice(0, 64)}"`);
}
