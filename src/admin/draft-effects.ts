/**
 * What comes of a draft that takes effect, or stops having it: the writes of one compare-and-set, the draft's own new
 * state among them. The operators' RPCs and the schedule both go through here.
 */
import { GatewayError } from "../errors/fault.ts";
import { policyDraftShape } from "../state/draft-shapes.ts";
import type { DraftStep, PolicyDraftResource } from "../state/resources.ts";
import {
  afterStep,
  changesTo,
  needApproval,
  needNoConflict,
  needSecondPerson,
  needState,
} from "./draft-steps.ts";
import type { StateChange, StateView } from "./state-view.ts";

export type Step = Omit<DraftStep, "state">;

export function draftChange(draft: PolicyDraftResource): StateChange {
  return { kind: "policy-draft", name: draft.name, body: draft };
}

export function readDraft(body: unknown): PolicyDraftResource {
  return policyDraftShape(body, "draft");
}

/** All of the draft's changes, and the draft active; throws where it may not be, or no longer fits. */
export function activation(
  view: StateView,
  draft: PolicyDraftResource,
  step: Step,
  twoPerson: boolean,
): readonly StateChange[] {
  needState(draft, "activate", twoPerson);
  if (twoPerson) needApproval(draft);
  needInTime(draft, step.atMs);
  needNoConflict(draft, view, "before");
  const undone = draft.undoes === undefined ? undefined : view.find("policy-draft", draft.undoes);
  const original = undone && readDraft(undone.body);
  const isUndone = original?.state === "active";
  return [
    ...changesTo(view, draft.changes, "after"),
    ...(isUndone ? [draftChange(afterStep(original, { ...step, state: "retired" }))] : []),
    draftChange(afterStep(draft, { ...step, state: "active" })),
  ];
}

/** An active draft's objects as they were before it; another draft is only given up. */
export function retirement(
  view: StateView,
  draft: PolicyDraftResource,
  step: Step,
): readonly StateChange[] {
  needState(draft, "retire", false);
  const retired = draftChange(afterStep(draft, { ...step, state: "retired" }));
  if (draft.state !== "active") return [retired];
  needNoConflict(draft, view, "after");
  return [...changesTo(view, draft.changes, "before"), retired];
}

/** The approved draft; its times and changes are part of what is approved. */
export function approval(
  view: StateView,
  draft: PolicyDraftResource,
  step: Step,
  twoPerson: boolean,
): readonly StateChange[] {
  needState(draft, "approve", twoPerson);
  if (twoPerson) needSecondPerson(draft, step.by);
  needNoConflict(draft, view, "before");
  view.preview(changesTo(view, draft.changes, "after"));
  return [
    draftChange({ ...afterStep(draft, { ...step, state: "approved" }), approvedBy: step.by }),
  ];
}

function needInTime(draft: PolicyDraftResource, nowMs: number): void {
  const { name, effectiveFromMs, effectiveToMs } = draft;
  if (effectiveFromMs !== undefined && nowMs < effectiveFromMs) {
    const from = new Date(effectiveFromMs).toISOString();
    throw new GatewayError(
      "state-conflict",
      `Draft "${name}" takes effect at ${from}, by itself once it is approved; update it to have it sooner`,
      { reason: "draft-state" },
    );
  }
  if (effectiveToMs === undefined || nowMs < effectiveToMs) return;
  const to = new Date(effectiveToMs).toISOString();
  throw new GatewayError("state-conflict", `Draft "${name}" was to end at ${to}, which is over`, {
    reason: "draft-state",
  });
}
