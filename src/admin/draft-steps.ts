/**
 * The life of a draft: which step leads from where to where, who may take it, and what its changes would do to the
 * state. Pure: `policy-drafts-service.ts` and the schedule call it inside a write, so that what is judged here is what
 * is stored.
 */
import { GatewayError } from "../errors/fault.ts";
import { draftStepsMax } from "../state/draft-shapes.ts";
import { samePart, withPolicyPart } from "../state/policy-objects.ts";
import type {
  DraftState,
  PolicyDifference,
  PolicyDraftResource,
  PolicyObjectKind,
} from "../state/resources.ts";
import { storedPart } from "./policy-history.ts";
import type { StateChange, StateView } from "./state-view.ts";

export type DraftAction = "update" | "propose" | "approve" | "reject" | "activate" | "retire";

/** `sod-violation`: the author or an editor tried to be the second person. */
export const sodViolation = "sod-violation";

const nouns: Readonly<Record<PolicyObjectKind, string>> = {
  role: "role",
  binding: "binding",
  rule: "rule",
  client: "grants of client",
  server: "tools of server",
};

const open: readonly DraftState[] = ["draft", "proposed", "approved"];

/** From which states an action is taken. */
const allowedFrom: Readonly<Record<DraftAction, readonly DraftState[]>> = {
  update: [...open, "rejected"],
  propose: ["draft"],
  approve: ["proposed"],
  reject: ["proposed", "approved"],
  activate: open,
  retire: [...open, "rejected", "active"],
};

export function needState(
  draft: PolicyDraftResource,
  action: DraftAction,
  twoPerson: boolean,
): void {
  const from = action === "activate" && twoPerson ? (["approved"] as const) : allowedFrom[action];
  if (from.some((state) => state === draft.state)) return;
  throw new GatewayError(
    "state-conflict",
    `Draft "${draft.name}" is ${draft.state}; ${action} is for ${from.join(", ")} drafts`,
    { reason: "draft-state" },
  );
}

/** The draft after a step; steps beyond the bound lose the oldest but the first. */
export function afterStep(
  draft: PolicyDraftResource,
  step: PolicyDraftResource["steps"][number],
): PolicyDraftResource {
  const { steps } = draft;
  const kept = steps.length < draftStepsMax ? steps : steps.toSpliced(1, 1);
  return { ...draft, state: step.state, steps: [...kept, step] };
}

/** Operators are told apart by name, however it is written: another credential is not another person. */
export function isSameOperator(a: string, b: string): boolean {
  return plainName(a) === plainName(b);
}

function plainName(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}

export function isEditor(draft: PolicyDraftResource, name: string): boolean {
  return draft.editors.some((editor) => isSameOperator(editor, name));
}

/** AZ-16: nobody is the second person for what they wrote themselves. */
export function needSecondPerson(draft: PolicyDraftResource, name: string): void {
  if (!isEditor(draft, name)) return;
  throw new GatewayError(
    "policy-denied",
    `policy.two_person is on: ${name} wrote something of draft "${draft.name}", so another operator must approve it`,
    { reason: sodViolation },
  );
}

/** An approval from before the rule was switched on may be the author's own. */
export function needApproval(draft: PolicyDraftResource): void {
  if (draft.approvedBy !== undefined && !isEditor(draft, draft.approvedBy)) return;
  throw new GatewayError(
    "approval-required",
    `policy.two_person is on: draft "${draft.name}" was not approved by another operator than its editors`,
    { reason: "two-person" },
  );
}

/** What changed since the draft was made (`before`), or since it was activated (`after`), one sentence each. */
export function conflictsOf(
  view: StateView,
  changes: readonly PolicyDifference[],
  expected: "before" | "after",
): readonly string[] {
  return changes.flatMap(({ kind, tenant, name, ...parts }) => {
    const stored = view.find(kind, name, tenant);
    const found = storedPart(kind, stored);
    if (samePart(kind, found, parts[expected])) return [];
    const object = `${nouns[kind]} "${name}"${tenant === undefined ? "" : ` of tenant "${tenant}"`}`;
    if (found === undefined) return [`${object} is gone`];
    const how = parts[expected] === undefined ? "is there by now, since" : "changed at";
    return [`${object} ${how} revision ${stored?.stateRevision}`];
  });
}

export function needNoConflict(
  draft: PolicyDraftResource,
  view: StateView,
  expected: "before" | "after",
): void {
  const conflicts = conflictsOf(view, draft.changes, expected);
  if (conflicts.length === 0) return;
  const advice =
    expected === "before"
      ? "update the draft to base it on what is there now"
      : "undo what is left of it by a new draft";
  throw new GatewayError(
    "state-conflict",
    `Draft "${draft.name}": ${conflicts.length} of its objects changed meanwhile: ${conflicts.join("; ")}. Look, then ${advice}`,
    { reason: "draft-conflict" },
  );
}

/** The writes that make the draft's objects what they are to be, or what they were. */
export function changesTo(
  view: StateView,
  changes: readonly PolicyDifference[],
  goal: "before" | "after",
): readonly StateChange[] {
  return changes.flatMap(({ kind, tenant, name, ...parts }): readonly StateChange[] => {
    const stored = view.find(kind, name, tenant);
    const isPart = kind === "client" || kind === "server";
    if (isPart && stored === undefined) {
      // What is not registered grants nothing and has no tools.
      if (parts[goal] === undefined) return [];
      throw new GatewayError("invalid-params", `There is no ${kind} "${name}"`);
    }
    const body = withPolicyPart(kind, stored?.body, parts[goal]);
    if (body !== undefined) return [{ kind, tenant, name, body }];
    return stored === undefined ? [] : [{ kind, tenant, name, delete: true }];
  });
}
