/**
 * The order of a decision: what no condition can change, denies, required roles, grants, and what a granted call owes.
 * Lists and calls (P23): a question without a call asks whether some call could be allowed. What hangs on the call is
 * unknown then: a conditional grant counts as possible, a conditional deny does not hide, and the obligations are those
 * that could apply. Conditions on principal and target alone are decided alike both times. So what any call is allowed
 * is listed, and where nothing hangs on the call, the reverse too.
 */
import { readArguments } from "./argument-values.ts";
import type { Expression } from "./expression.ts";
import type { Facts } from "./expression-facts.ts";
import { isFalse, isTrue, outcomesOf, unknown, type Value } from "./expression-values.ts";
import { type Holder, principalMeant } from "./holder.ts";
import { joinObligations } from "./obligations.ts";
import { denied, deniedByDefault } from "./reasons.ts";
import type { CallFacts, Decision, Question } from "./rule.ts";
import { actionsOf, type CompiledRule, type RuleSet } from "./rules.ts";
import type { Tools } from "./tools.ts";
import { canonicalUri } from "./uri.ts";

/** What is asked, with the target in canonical form; or why nothing can be allowed. */
export type Asked =
  | { readonly question: Question; readonly target: string; readonly refusal?: undefined }
  | { readonly refusal: string };

/** The rules that speak, or may speak, about one holder and target; each list in naming order. */
export interface Candidates {
  readonly denies: readonly Candidate[];
  /** Where the tool needs a role that the holder lacks: the denial, as `tool:server__tool`. */
  readonly lacksRole: Decision | undefined;
  readonly allows: readonly Candidate[];
  /** What lists of clients and roles grant. */
  readonly grants: readonly Decision[];
  readonly requires: readonly Candidate[];
  /** `call` of expressions. */
  readonly call: Value;
}

export interface Candidate {
  readonly rule: CompiledRule;
  /** How it may turn out without a call. */
  readonly outcomes: number;
  /** One outcome alone is possible, so it is never evaluated again. */
  readonly isSure: boolean;
  /** `principal` of its expression, where that is evaluated again. */
  readonly principal: Value;
}

const targetLengthMax = 4096;

export function ask(question: Question, holder: Holder, tools: Tools): Asked {
  const { kind, server, action } = question;
  if (!actionsOf[kind].includes(action))
    return { refusal: `${action} does not apply to a ${kind}` };
  if (!tools.isVisible(server, holder)) return { refusal: "there is no such server" };
  const target = kind === "resource" ? canonicalUri(question.target) : question.target;
  if (target === undefined) return { refusal: "the URI has no canonical form" };
  if (target.length > targetLengthMax) return { refusal: "the target's name is too long" };
  return { question, target };
}

export function findCandidates(
  holder: Holder,
  { kind, server }: Question,
  target: string,
  rules: RuleSet,
  tools: Tools,
): Candidates {
  const tier = tools.tierOf(server, kind, target);
  const call = describeTarget({ server, kind, target, tier });
  const facts = describeCall(call, undefined);
  const candidatesOf = (
    list: readonly CompiledRule[],
    isPossible: (outcomes: number) => boolean,
  ) => {
    const found: Candidate[] = [];
    for (const rule of list) {
      if (!rule.coversKind(kind) || !rule.coversTarget(target, tier)) continue;
      const outcomes = weigh(rule, holder, facts);
      if (!isPossible(outcomes)) continue;
      const isSure = isSingle(outcomes);
      const principal = isSure ? unknown : principalMeant(rule.source, holder);
      found.push({ rule, outcomes, isSure, principal });
    }
    return found;
  };
  return {
    call,
    denies: candidatesOf(rules.denies, (outcomes) => outcomes !== isFalse),
    lacksRole: tools.lacksRole(server, kind, target, holder)
      ? denied(`tool:${server}__${target}`, ": the tool needs a role that is not held")
      : undefined,
    allows: candidatesOf(rules.allows, (outcomes) => (outcomes & isTrue) !== 0).filter(({ rule }) =>
      rule.grantsKind(kind),
    ),
    grants: holder.granting
      .filter(({ grants }) => grants.has(kind, server, target))
      .map(({ decision }) => decision),
    requires: candidatesOf(rules.requires, (outcomes) => outcomes !== isFalse),
  };
}

/** Whether nothing in the decision hangs on the call, neither the answer nor who is named. */
export function isSettled({ denies, lacksRole, allows, requires }: Candidates): boolean {
  const [first] = denies;
  if (first !== undefined && (first.outcomes & isFalse) === 0) return true;
  if (!denies.every((one) => one.isSure)) return false;
  return (
    lacksRole !== undefined || [allows, requires].every((list) => list.every((one) => one.isSure))
  );
}

/** `facts` undefined = for a list. */
export function decide(found: Candidates, facts: Facts | undefined): Decision {
  for (const one of found.denies) if (denies(one, facts)) return one.rule.decision;
  if (found.lacksRole !== undefined) return found.lacksRole;
  let granted: Decision | undefined;
  const obliging: CompiledRule[] = [];
  for (const one of found.allows) {
    if (!grants(one, facts)) continue;
    granted ??= one.rule.decision;
    if (one.rule.obligations !== undefined) obliging.push(one.rule);
  }
  granted ??= found.grants[0];
  if (granted === undefined) return deniedByDefault;
  for (const one of found.requires) if (requiresNow(one, facts)) obliging.push(one.rule);
  if (obliging.length === 0) return granted;
  const obligations = joinObligations(obliging.sort((a, b) => a.place - b.place));
  return obligations === undefined ? granted : { ...granted, obligations };
}

/** A deny matches unless it is false, or a list asks and it may be false. */
export function denies(one: Candidate, facts: Facts | undefined): boolean {
  return (outcomesNow(one, facts) & isFalse) === 0;
}

/** A grant matches when it is true, or a list asks and it may be. */
export function grants(one: Candidate, facts: Facts | undefined): boolean {
  return (outcomesNow(one, facts) & isTrue) !== 0;
}

/** A requirement holds unless it is surely false. */
export function requiresNow(one: Candidate, facts: Facts | undefined): boolean {
  return outcomesNow(one, facts) !== isFalse;
}

/** `call` of expressions. Listing a tool and calling it are one question, so both are the call here. */
export function describeTarget(about: {
  readonly server: string;
  readonly kind: Question["kind"];
  readonly target: string;
  readonly tier: string | undefined;
}): Value {
  const { server, kind, target, tier } = about;
  const members: readonly (readonly [string, string])[] = [
    ["server", server],
    ["kind", kind],
    ["target", target],
    ["action", actionsOf[kind].at(-1) ?? ""],
    ...(tier === undefined ? [] : ([["risk_tier", tier]] as const)),
  ];
  return new Map(members);
}

/** What expressions may read; without a call, what hangs on one is unknown. */
export function describeCall(target: Value, call: CallFacts | undefined): Facts {
  return {
    // Set for each rule, since rules may mean different roles.
    principal: unknown,
    call: target,
    arguments: call && readArguments(call.argumentsText),
    timeMs: call?.nowMs,
    peer: call === undefined ? unknown : call.peer,
  };
}

/**
 * How the condition of a rule turns out, or may turn out. A failure (a missing member, a wrong type, arguments beyond
 * their bounds) denies in a deny rule, grants nothing in an allow rule, and obliges in a require rule (AZ-12).
 */
export function weigh(rule: CompiledRule, holder: Holder, facts: Facts): number {
  return rule.when === undefined
    ? isTrue
    : evaluate(rule.when, principalMeant(rule.source, holder), facts);
}

function evaluate(when: Expression, principal: Value, facts: Facts): number {
  facts.principal = principal;
  return outcomesOf(when(facts));
}

function outcomesNow({ rule, outcomes, isSure, principal }: Candidate, facts: Facts | undefined) {
  if (facts === undefined || isSure || rule.when === undefined) return outcomes;
  return evaluate(rule.when, principal, facts);
}

function isSingle(outcomes: number): boolean {
  return (outcomes & (outcomes - 1)) === 0;
}
