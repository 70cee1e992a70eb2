/**
 * The order of a decision: what no condition can change, denies, required roles, grants, and what a granted call owes.
 *
 * Lists and calls (P23). A question without a call asks whether some call could be allowed. What hangs on the call is
 * unknown then, three-valued: a conditional grant counts as possible, a conditional deny does not hide, and the
 * obligations are those that could apply. Conditions that look at the principal or the target alone are decided alike
 * both times. So whatever a call is allowed is listed, and where nothing hangs on the call, the reverse too.
 *
 * A condition that fails (a missing member, a wrong type, arguments beyond their bounds) denies in a deny rule, grants
 * nothing in an allow rule, and obliges in a require rule (AZ-12).
 */
import { readArguments } from "./argument-values.ts";
import type { Facts } from "./expression.ts";
import { isFalse, isTrue, outcomesOf, unknown } from "./expression-values.ts";
import { type Holder, rolesMeant } from "./holder.ts";
import { joinObligations } from "./obligations.ts";
import type { CallFacts, Decision, Question } from "./rule.ts";
import { actionsOf, type CompiledRule, type RuleSet } from "./rules.ts";
import type { Tools } from "./tools.ts";
import { canonicalUri } from "./uri.ts";

/** What is asked, with the target in canonical form; or why nothing can be allowed. */
export type Asked =
  | { readonly question: Question; readonly target: string; readonly refusal?: undefined }
  | { readonly refusal: string };

/** The rules that speak, or may speak, about one holder and target. */
export interface Candidates {
  readonly denies: readonly Candidate[];
  /** Undefined, or `tool:server__tool` where the tool needs a role that the holder lacks. */
  readonly lacksRole: string | undefined;
  readonly allows: readonly Candidate[];
  /** `client:id` or `role:name`, in naming order. */
  readonly grants: readonly string[];
  readonly requires: readonly Candidate[];
}

export interface Candidate {
  readonly rule: CompiledRule;
  /** How it may turn out without a call; what is settled by then is never evaluated again. */
  readonly outcomes: number;
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
  const facts = describeCall(holder, { server, kind, target, tier }, undefined);
  const candidatesOf = (list: readonly CompiledRule[], minimum: (outcomes: number) => boolean) =>
    list
      .filter((rule) => rule.coversKind(kind) && rule.coversTarget(target, tier))
      .map((rule) => ({ rule, outcomes: weigh(rule, holder, facts) }))
      .filter(({ outcomes }) => minimum(outcomes));
  const { client, granting, asker } = holder;
  return {
    denies: candidatesOf(rules.denies, (outcomes) => outcomes !== isFalse),
    lacksRole: tools.lacksRole(server, kind, target, holder)
      ? `tool:${server}__${target}`
      : undefined,
    allows: candidatesOf(rules.allows, (outcomes) => (outcomes & isTrue) !== 0).filter(({ rule }) =>
      rule.grantsKind(kind),
    ),
    grants: [
      ...(client?.has(kind, server, target) ? [`client:${asker.clientId}`] : []),
      ...granting
        .filter(({ grants }) => grants.has(kind, server, target))
        .map(({ name }) => `role:${name}`),
    ],
    requires: candidatesOf(rules.requires, (outcomes) => outcomes !== isFalse),
  };
}

/** Whether nothing in the decision hangs on the call. */
export function isSettled({ denies, allows, requires }: Candidates): boolean {
  if (denies.some(({ outcomes }) => (outcomes & isFalse) === 0)) return true;
  return [denies, allows, requires].every((list) => list.every(isSure));
}

/** `facts` undefined = for a list. */
export function decide(found: Candidates, holder: Holder, facts: Facts | undefined): Decision {
  const deny = found.denies.find((one) => denies(one, holder, facts));
  if (deny !== undefined) return denied(`rule:${deny.rule.name}`, `by rule ${deny.rule.name}`);
  if (found.lacksRole !== undefined) {
    return denied(found.lacksRole, "the tool needs a role that is not held");
  }
  const allows = found.allows.filter((one) => grants(one, holder, facts));
  const ruleId = allows[0] === undefined ? found.grants[0] : `rule:${allows[0].rule.name}`;
  if (ruleId === undefined) return denied("default", "by default");
  const requires = found.requires.filter((one) => requiresNow(one, holder, facts));
  const obliging = [...allows, ...requires].map(({ rule }) => rule).filter(isObliging);
  const obligations = joinObligations(obliging.sort(byNaming));
  const decision = { allowed: true, reason: `allowed ${by(ruleId)}`, ruleId };
  return obligations === undefined ? decision : { ...decision, obligations };
}

/** A deny matches unless it is false, or a list asks and it may be false. */
export function denies(one: Candidate, holder: Holder, facts: Facts | undefined): boolean {
  return (outcomesNow(one, holder, facts) & isFalse) === 0;
}

/** A grant matches when it is true, or a list asks and it may be. */
export function grants(one: Candidate, holder: Holder, facts: Facts | undefined): boolean {
  return (outcomesNow(one, holder, facts) & isTrue) !== 0;
}

/** A requirement holds unless it is surely false. */
export function requiresNow(one: Candidate, holder: Holder, facts: Facts | undefined): boolean {
  return outcomesNow(one, holder, facts) !== isFalse;
}

/** What expressions may read; without a call, what hangs on one is unknown. */
export function describeCall(
  holder: Holder,
  about: {
    readonly server: string;
    readonly kind: Question["kind"];
    readonly target: string;
    readonly tier: string | undefined;
  },
  call: CallFacts | undefined,
): Facts {
  const { server, kind, target, tier } = about;
  // Listing a tool and calling it are one question, so both are the call here.
  const action = actionsOf[kind].at(-1) ?? "";
  const members: readonly (readonly [string, string])[] = [
    ["server", server],
    ["kind", kind],
    ["target", target],
    ["action", action],
    ...(tier === undefined ? [] : ([["risk_tier", tier]] as const)),
  ];
  return {
    principal: holder.principal(holder.roles),
    call: new Map(members),
    arguments: call && readArguments(call.argumentsText),
    time: call === undefined ? unknown : new Date(call.nowMs),
    peer: call?.peer ?? unknown,
  };
}

/** How the condition of a rule turns out, or may turn out. */
export function weigh(rule: CompiledRule, holder: Holder, facts: Facts): number {
  if (rule.when === undefined) return isTrue;
  facts.principal = holder.principal(rolesMeant(rule.source, holder));
  return outcomesOf(rule.when(facts));
}

export function denied(ruleId: string, how: string): Decision {
  const reason = how.startsWith("by ") ? `denied ${how}` : `denied: ${how}`;
  return { allowed: false, reason, ruleId };
}

function outcomesNow(one: Candidate, holder: Holder, facts: Facts | undefined): number {
  return facts === undefined || isSure(one) ? one.outcomes : weigh(one.rule, holder, facts);
}

/** One outcome alone is possible. */
function isSure({ outcomes }: Candidate): boolean {
  return (outcomes & (outcomes - 1)) === 0;
}

function isObliging({ obligations }: CompiledRule): boolean {
  return obligations !== undefined;
}

function byNaming({ place: a }: CompiledRule, { place: b }: CompiledRule): number {
  return a - b;
}

function by(ruleId: string): string {
  const [kind = "", ...name] = ruleId.split(":");
  const noun = kind === "client" ? "the list of client" : kind;
  return `by ${noun} ${name.join(":")}`;
}
