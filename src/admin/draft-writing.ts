/**
 * Makes drafts out of what operators ask for: every object read strictly and based on what it is now, the whole
 * resulting policy checked. Called by the drafts' RPCs.
 */
import { GatewayError } from "../errors/fault.ts";
import { draftChangesMax } from "../state/draft-shapes.ts";
import { policyPartOf, readPart, withPolicyPart } from "../state/policy-objects.ts";
import type { PolicyDifference, PolicyDraftResource } from "../state/resources.ts";
import type { StoredResource } from "../storage/store.ts";
import type { Operator } from "./caller.ts";
import type { WantedDraft, WantedObject } from "./convert/drafts.ts";
import { changesTo } from "./draft-steps.ts";
import { storedPart } from "./policy-history.ts";
import { needResource } from "./resource-crud.ts";
import type { StateView } from "./state-view.ts";
import { namedTenant, type Onlooker, withOwnTenant } from "./tenants.ts";

const draftsMax = 500;
/** Of all drafts together: every node holds them. */
const bytesMax = 32 * 1024 * 1024;

/** The wanted changes on the base of what is there now; throws where the resulting policy would not hold. */
export function differencesFor(
  view: StateView,
  wanted: WantedDraft,
  operator: Onlooker,
): readonly PolicyDifference[] {
  const { objects } = wanted;
  if (objects.length === 0) throw invalid("draft.changes: needs at least one");
  if (objects.length > draftChangesMax) {
    throw invalid(`draft.changes: at most ${draftChangesMax}`);
  }
  const differences = objects.map((one, index) =>
    toDifference(view, one, operator, `changes[${index}]`),
  );
  needDistinct(differences);
  view.preview(changesTo(view, differences, "after"));
  return differences;
}

function toDifference(
  view: StateView,
  { kind, name, part, ...wanted }: WantedObject,
  operator: Onlooker,
  path: string,
): PolicyDifference {
  if (kind === "client" || kind === "server") {
    const stored = needResource(view, kind, kind, name);
    const body = withPolicyPart(kind, stored.body, readPart(kind, part ?? {}, path));
    const after = policyPartOf(kind, body);
    return { kind, name, before: storedPart(kind, stored), after };
  }
  if (part === undefined) {
    const tenant = namedTenant(operator, wanted.tenant ?? "");
    const stored = needResource(view, kind, kind, name, tenant);
    return { kind, tenant, name, before: storedPart(kind, stored), after: undefined };
  }
  const own = withOwnTenant(operator, part);
  const tenant = namedTenant(operator, wanted.tenant ?? "");
  const before = storedPart(kind, view.find(kind, name, tenant));
  return { kind, tenant, name, before, after: readPart(kind, own, path) };
}

function needDistinct(differences: readonly PolicyDifference[]): void {
  const seen = new Set<string>();
  for (const { kind, tenant, name } of differences) {
    const key = JSON.stringify([kind, tenant ?? null, name]);
    if (seen.has(key)) throw invalid(`draft.changes: ${kind} "${name}" is there twice`);
    seen.add(key);
  }
}

export function needDraft(view: StateView, name: string): StoredResource {
  return needResource(view, "policy-draft", "draft", name);
}

/** Empty, and its maker's. */
export function newDraft(
  view: StateView,
  { name, tenant }: Pick<WantedDraft, "name" | "tenant">,
  operator: Pick<Operator, "name" | "tenant">,
  atMs: number,
): PolicyDraftResource {
  if (view.isTaken({ kind: "policy-draft", name })) {
    throw new GatewayError("already-exists", `There is a draft "${name.slice(0, 64)}" already`);
  }
  const by = operator.name;
  return withOwnTenant(operator, {
    name,
    tenant,
    description: "",
    state: "draft",
    author: by,
    editors: [by],
    approvedBy: undefined,
    undoes: undefined,
    effectiveFromMs: undefined,
    effectiveToMs: undefined,
    changes: [],
    steps: [{ atMs, by, state: "draft", comment: "" }],
  });
}

/** Times that make sense, at the time the draft is written. */
export function needTimes({ effectiveFromMs, effectiveToMs }: WantedDraft, nowMs: number): void {
  if (effectiveToMs === undefined) return;
  if (effectiveToMs <= nowMs) throw invalid("draft.effective_to_ms: must be in the future");
  if (effectiveFromMs !== undefined && effectiveToMs <= effectiveFromMs) {
    throw invalid("draft.effective_to_ms: must be after effective_from_ms");
  }
}

/** Room for the draft beside the others. */
export function needDraftRoom(view: StateView, draft: PolicyDraftResource): void {
  const others = view.list("policy-draft").filter(({ name }) => name !== draft.name);
  if (others.length >= draftsMax) {
    throw invalid(`at most ${draftsMax} drafts: delete some that are not in force`);
  }
  const sizes = [draft, ...others.map(({ body }) => body)].map((one) => JSON.stringify(one).length);
  if (sizes.reduce((sum, size) => sum + size, 0) <= bytesMax) return;
  throw invalid(`at most ${bytesMax} bytes of drafts together: delete some that are not in force`);
}

function invalid(message: string): GatewayError {
  return new GatewayError("invalid-params", message);
}
