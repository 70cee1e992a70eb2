/**
 * The changes that bring policy back: to what it was after some revision, or before some draft. Both become drafts of
 * their own, so that going back is looked at like any other change. Called by `policy-history-service.ts`.
 */
import { GatewayError } from "../errors/fault.ts";
import { samePart } from "../state/policy-objects.ts";
import type { PolicyDifference, PolicyDraftResource, PolicyObjectKey } from "../state/resources.ts";
import { changesTo, needNoConflict } from "./draft-steps.ts";
import { readRevisions, storedPart } from "./policy-history.ts";
import type { StateView } from "./state-view.ts";

export interface WayBack {
  readonly changes: readonly PolicyDifference[];
  /** What cannot be brought back, because it is no longer registered. */
  readonly leftOut: readonly PolicyObjectKey[];
}

/** From what policy is to what it was after `revision`. */
export function wayBackTo(view: StateView, revision: number): WayBack {
  if (revision >= view.stateRevision) {
    throw invalid(`to_revision: must be before ${view.stateRevision}, which is now`);
  }
  const revisions = readRevisions(view);
  const oldest = revisions[0]?.stateRevision;
  if (oldest === undefined) throw invalid("to_revision: no change of policy was kept");
  if (revision < oldest - 1) {
    throw invalid(`to_revision: the history kept goes back to ${oldest - 1}`);
  }
  const targets = new Map<string, PolicyDifference>();
  for (const { stateRevision, changes } of revisions) {
    if (stateRevision <= revision) continue;
    for (const change of changes) {
      const key = JSON.stringify([change.kind, change.tenant ?? null, change.name]);
      if (!targets.has(key)) targets.set(key, change);
    }
  }
  return towards(view, [...targets.values()]);
}

/** From what an active draft made of its objects to what they were before it. */
export function wayBackFrom(view: StateView, draft: PolicyDraftResource): WayBack {
  if (draft.state !== "active") {
    throw invalid(`undo_draft: draft "${draft.name}" is ${draft.state}, not active`);
  }
  needNoConflict(draft, view, "after");
  return towards(view, draft.changes);
}

/** Each object from what it is to what `before` says. */
function towards(view: StateView, targets: readonly PolicyDifference[]): WayBack {
  const leftOut: PolicyObjectKey[] = [];
  const changes = targets.flatMap(({ kind, tenant, name, before: after }) => {
    const stored = view.find(kind, name, tenant);
    const before = storedPart(kind, stored);
    if (samePart(kind, before, after)) return [];
    if (stored === undefined && (kind === "client" || kind === "server")) {
      leftOut.push({ kind, name });
      return [];
    }
    return [{ kind, tenant, name, before, after }];
  });
  if (changes.length === 0) throw invalid("Policy is what it was then: there is nothing to undo");
  view.preview(changesTo(view, changes, "after"));
  return { changes, leftOut };
}

function invalid(message: string): GatewayError {
  return new GatewayError("invalid-params", message);
}
