/**
 * What another policy would make of a recorded call: the same, a denial, a right, other obligations, or something that
 * the record does not tell. Pure; `admin/services/policy-replay.ts` asks it call by call.
 */
import {
  createRecordedDecider,
  type RecordedDecision,
  type RecordedFacts,
} from "./recorded-decision.ts";
import type { Asker, Decision, PolicyInput, Question } from "./rule.ts";

export type CallChange = "unchanged" | "newly-denied" | "newly-allowed" | "obligations";

export type Comparison =
  | { readonly change: CallChange; readonly now: Decision; readonly drafted: Decision }
  | { readonly change: "undetermined"; readonly reason: string };

/** Who asked, as each policy's state has them: a draft may change a client's roles. */
export interface BothAskers {
  readonly now: Asker;
  readonly drafted: Asker;
}

export type Compare = (askers: BothAskers, question: Question, facts: RecordedFacts) => Comparison;

/** Every way the open denies and the open grants can turn out, as far as a decision can tell them apart. */
const corners = [
  { denies: false, grants: false },
  { denies: false, grants: true },
  { denies: true, grants: false },
  { denies: true, grants: true },
] as const;

export function createComparison(now: PolicyInput, drafted: PolicyInput): Compare {
  const decideNow = createRecordedDecider(now);
  const decideDrafted = createRecordedDecider(drafted);
  return (askers, question, facts) => {
    const before = decideNow(askers.now, question, facts);
    const after = decideDrafted(askers.drafted, question, facts);
    const open = [...before.openRules, ...after.openRules];
    const found = sharesOpenRules(before, after)
      ? compareTogether(before, after)
      : compareApart(before, after);
    if (found !== undefined) return found;
    const names = [...new Set(open.map(({ name }) => name))].sort().slice(0, 3);
    return {
      change: "undetermined",
      reason: `conditions of ${names.join(", ")} hang on what is not recorded`,
    };
  };
}

/** The same rules see the same things, so each is open in the same way on both sides. */
function sharesOpenRules(a: RecordedDecision, b: RecordedDecision): boolean {
  if (a.openRules.length === 0 && b.openRules.length === 0) return true;
  if (a.viewKey !== b.viewKey || a.openRules.length !== b.openRules.length) return false;
  const texts = new Set(a.openRules.map(({ text }) => text));
  return b.openRules.every(({ text }) => texts.has(text));
}

/**
 * One assignment for both sides. Whether a call is allowed hangs on whether any open deny and any open grant matches,
 * which the four corners are.
 */
function compareTogether(before: RecordedDecision, after: RecordedDecision) {
  const owes = relateTogether(before, after);
  const all = before.openRules.length === 0 ? corners.slice(0, 1) : corners;
  return agree(all.map((corner) => pairUp(before.corner(corner), after.corner(corner), owes)));
}

/** The sides turn out each for itself: known only where each is known alone. */
function compareApart(before: RecordedDecision, after: RecordedDecision) {
  const owes = relateApart(before, after);
  return agree(
    corners.flatMap((one) =>
      corners.map((other) => pairUp(before.corner(one), after.corner(other), owes)),
    ),
  );
}

/** Whether both sides owe the same, or other things, whatever is open; undefined = that depends. */
type Owes = "same" | "other" | undefined;

/**
 * Obligations are joined, and joining the same to two of them can make different ones alike but never like ones
 * different: equal without any open rule = equal always, different with all of them = different always.
 */
function relateTogether(before: RecordedDecision, after: RecordedDecision): Owes {
  if (before.owed(false) === after.owed(false)) return "same";
  return before.owed(true) === after.owed(true) ? undefined : "other";
}

function relateApart(before: RecordedDecision, after: RecordedDecision): Owes {
  const isKnown = [before, after].every((one) => one.owed(false) === one.owed(true));
  if (!isKnown) return undefined;
  return before.owed(false) === after.owed(false) ? "same" : "other";
}

type Pair = Extract<Comparison, { readonly now: Decision }>;

/** Undefined where it depends on what is open. */
function pairUp(now: Decision, drafted: Decision, owes: Owes): Pair | undefined {
  if (now.allowed !== drafted.allowed) {
    return { change: drafted.allowed ? "newly-allowed" : "newly-denied", now, drafted };
  }
  if (!now.allowed || owes === "same") return { change: "unchanged", now, drafted };
  return owes === "other" ? { change: "obligations", now, drafted } : undefined;
}

/** The first pair where all say the same. */
function agree(pairs: readonly (Pair | undefined)[]): Pair | undefined {
  const [first] = pairs;
  return first && pairs.every((pair) => pair?.change === first.change) ? first : undefined;
}
