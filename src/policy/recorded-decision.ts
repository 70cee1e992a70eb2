/**
 * Decides a call of which only a record is left, by the very parts that decide calls. What the record does not hold
 * (arguments, what else was in the token) is unknown, never guessed: a rule whose condition hangs on it may match or
 * not, and the decision is known only where that makes no difference. Asked by `comparison.ts`.
 */
import { LRUCache } from "lru-cache";
import { compileParts, type PolicyParts, type View } from "./compile.ts";
import {
  ask,
  type Candidate,
  type Candidates,
  decide,
  describeCall,
  findCandidates,
  weigh,
} from "./decide.ts";
import type { Facts } from "./expression-facts.ts";
import { isFailed, isFalse, isTrue, unknown } from "./expression-values.ts";
import type { Holder } from "./holder.ts";
import { denied } from "./reasons.ts";
import type { Asker, Decision, PolicyInput, Question } from "./rule.ts";
import type { CompiledRule, RuleSet } from "./rules.ts";

/** What a record tells of a call besides who and what. */
export interface RecordedFacts {
  readonly timeMs: number;
  readonly peer: string | undefined;
}

export interface RecordedDecision {
  /** How the call is decided: by `denies` whether the open denies match, by `grants` the open allows and requires. */
  corner(open: { readonly denies: boolean; readonly grants: boolean }): Decision;
  /** What the call owes where it is allowed at all, without and with what the open rules ask for. */
  owed(withOpen: boolean): string;
  /** The rules whose conditions are open, as texts that are equal where the rules are. */
  readonly openRules: readonly { readonly name: string; readonly text: string }[];
  /** What conditions see of the policy itself: two decisions with different views have no open rule in common. */
  readonly viewKey: string;
}

export type DecideRecorded = (
  asker: Asker,
  question: Question,
  facts: RecordedFacts,
) => RecordedDecision;

/** Members of a principal that records do not keep; and `principal` used as a whole. */
const unrecorded = /\b(?:claims|scopes|acr|amr)\b|\bprincipal\b(?!\.)/;
const anyOutcome = isTrue | isFalse | isFailed;
/** A call that something grants and nothing denies, to see what it owes. */
const granting = {
  denies: [],
  lacksRole: undefined,
  grants: [{ allowed: true, reason: "", ruleId: "default" }],
};
const noRules: RuleSet = { denies: [], allows: [], requires: [] };

/** Who asks about what, as far as it is the same for each of their calls. */
interface Speaking {
  readonly holder: Holder;
  readonly base: Candidates;
  /** The rules about the target, whatever their conditions say. */
  readonly rules: RuleSet;
  readonly viewKey: string;
}

const spokenMax = 20_000;

export function createRecordedDecider(input: PolicyInput): DecideRecorded {
  const parts = compileParts(input);
  const views = new WeakMap<Asker, View & { readonly number: number }>();
  const spoken = new LRUCache<string, Speaking | RecordedDecision>({ max: spokenMax });
  const texts = new Map<CompiledRule, string>();
  let viewCount = 0;

  function textOf(rule: CompiledRule): string {
    const text = texts.get(rule) ?? JSON.stringify(rule.source);
    texts.set(rule, text);
    return text;
  }

  function viewOf(asker: Asker) {
    const known = views.get(asker);
    if (known !== undefined) return known;
    viewCount += 1;
    const view = { ...parts.viewOf(asker), number: viewCount };
    views.set(asker, view);
    return view;
  }

  function speakingOf(asker: Asker, question: Question): Speaking | RecordedDecision {
    const view = viewOf(asker);
    const { server, kind, action } = question;
    const key = JSON.stringify([view.number, kind, action, server, question.target]);
    const known = spoken.get(key);
    if (known !== undefined) return known;
    const found = findSpeaking(parts, view, question);
    spoken.set(key, found);
    return found;
  }

  return (asker, question, recorded) => {
    const speaking = speakingOf(asker, question);
    if ("corner" in speaking) return speaking;
    const { holder, base, rules, viewKey } = speaking;
    const facts: Facts = {
      ...describeCall(base.call, undefined),
      timeMs: recorded.timeMs,
      peer: recorded.peer ?? unknown,
    };
    const sort = (list: readonly CompiledRule[]) =>
      sortByOutcome(list, (rule) => outcomesOf(rule, holder, facts));
    const denies = sort(rules.denies);
    const allows = sort(rules.allows);
    const requires = sort(rules.requires);
    const open = [...denies.open, ...allows.open, ...requires.open];
    return {
      corner: (matching) =>
        decide(
          {
            ...base,
            denies: chosen(denies, matching.denies),
            allows: chosen(allows, matching.grants),
            requires: chosen(requires, matching.grants),
          },
          undefined,
        ),
      owed(withOpen) {
        const [allowed, required] = [chosen(allows, withOpen), chosen(requires, withOpen)];
        const granted = { ...base, ...granting, allows: allowed, requires: required };
        return JSON.stringify(decide(granted, undefined).obligations ?? null);
      },
      openRules: open.map((rule) => ({ name: rule.name, text: textOf(rule) })),
      viewKey,
    };
  };
}

function findSpeaking(
  parts: PolicyParts,
  { holder, rulesOf }: View,
  question: Question,
): Speaking | RecordedDecision {
  const asked = ask(question, holder, parts.tools);
  if (asked.refusal !== undefined) {
    const refused = denied("default", `: ${asked.refusal}`);
    return { corner: () => refused, owed: () => "", openRules: [], viewKey: "" };
  }
  const { target } = asked;
  const { server, kind } = question;
  const tier = parts.tools.tierOf(server, kind, target);
  const about = (list: readonly CompiledRule[]) =>
    list.filter((rule) => rule.coversKind(kind) && rule.coversTarget(target, tier));
  const { denies, allows, requires } = rulesOf(server);
  return {
    holder,
    base: findCandidates(holder, question, target, noRules, parts.tools),
    rules: {
      denies: about(denies),
      allows: about(allows).filter((rule) => rule.grantsKind(kind)),
      requires: about(requires),
    },
    viewKey: JSON.stringify([[...holder.roles].sort(), [...holder.commonRoles].sort(), tier]),
  };
}

interface Sorted {
  readonly matching: readonly CompiledRule[];
  readonly open: readonly CompiledRule[];
}

function sortByOutcome(
  rules: readonly CompiledRule[],
  outcomes: (rule: CompiledRule) => number,
): Sorted {
  const matching: CompiledRule[] = [];
  const open: CompiledRule[] = [];
  for (const rule of rules) {
    const matches = doesMatch(rule, outcomes(rule));
    if (matches === undefined) open.push(rule);
    else if (matches) matching.push(rule);
  }
  return { matching, open };
}

/** As `decide.ts` reads outcomes: a failure grants nothing, and denies and obliges. Undefined = may be or not. */
function doesMatch({ effect }: CompiledRule, outcomes: number): boolean | undefined {
  if (effect === "allow") {
    if (outcomes === isTrue) return true;
    return (outcomes & isTrue) === 0 ? false : undefined;
  }
  if (outcomes === isFalse) return false;
  return (outcomes & isFalse) === 0 ? true : undefined;
}

function outcomesOf(rule: CompiledRule, holder: Holder, facts: Facts): number {
  const { when } = rule.source.condition;
  if (when !== undefined && unrecorded.test(when)) return anyOutcome;
  return weigh(rule, holder, facts);
}

/** In naming order, as settled candidates. */
function chosen({ matching, open }: Sorted, isOpenToo: boolean): readonly Candidate[] {
  const rules = isOpenToo ? [...matching, ...open] : matching;
  return rules
    .toSorted((a, b) => a.place - b.place)
    .map((rule) => ({ rule, outcomes: isTrue, isSure: true, principal: unknown }));
}
