/**
 * Explains a decision to an operator: everything that spoke for or against it, not only what was named, for a list or
 * for one given call. It asks the very parts that decide, so it cannot disagree with them. For the admin plane and for
 * drafts; not for the hot path.
 */
import { GatewayError } from "../errors/fault.ts";
import { compileParts, compilePolicy } from "./compile.ts";
import {
  ask,
  type Candidate,
  denies,
  describeCall,
  findCandidates,
  grants,
  requiresNow,
  weigh,
} from "./decide.ts";
import { isFailed, isFalse, isTrue } from "./expression-values.ts";
import type { Asker, Decision, PolicyInput, Question } from "./rule.ts";

export interface Explanation {
  readonly decision: Decision;
  /** Roles the asker holds by token, registration or binding; unknown ones included. */
  readonly roles: readonly string[];
  /** Every deny that matched, as `rule:name` or `tool:server__tool`. */
  readonly deniedBy: readonly string[];
  /** Every grant that matched, as `rule:name`, `client:id` or `role:name`. */
  readonly grantedBy: readonly string[];
  /** Every require rule that applies, as `rule:name`; what they ask for is in the decision's obligations. */
  readonly requiredBy: readonly string[];
  /** How the expression of each rule turned out whose other conditions fit. */
  readonly conditions: readonly ExplainedCondition[];
}

export interface ExplainedCondition {
  readonly rule: string;
  readonly effect: "deny" | "allow" | "require";
  /** `unknown` hangs on the call; `failed` had no value, such as a missing member or a wrong type. */
  readonly outcome: "true" | "false" | "failed" | "unknown";
}

/** Throws invalid-params where the policy or the call's arguments are unusable. */
export function explain(input: PolicyInput, asker: Asker, given: Question): Explanation {
  const question = needObject(given);
  const decision = compilePolicy(input).decide(asker, question);
  const parts = compileParts(input);
  const { holder, rulesOf } = parts.viewOf(asker);
  const roles = [...holder.roles].sort();
  const asked = ask(question, holder, parts.tools);
  if (asked.refusal !== undefined) {
    return { decision, roles, deniedBy: [], grantedBy: [], requiredBy: [], conditions: [] };
  }
  const { server, kind } = question;
  const { target } = asked;
  const rules = rulesOf(server);
  const found = findCandidates(holder, question, target, rules, parts.tools);
  const tier = parts.tools.tierOf(server, kind, target);
  const read = describeCall(found.call, question.call);
  const facts = question.call === undefined ? undefined : read;
  const spoke = (list: readonly Candidate[], is: typeof denies) =>
    list.filter((one) => is(one, facts)).map(({ rule }) => `rule:${rule.name}`);
  return {
    decision,
    roles,
    deniedBy: [
      ...spoke(found.denies, denies),
      ...(found.lacksRole ? [found.lacksRole.ruleId] : []),
    ],
    grantedBy: [...spoke(found.allows, grants), ...found.grants.map(({ ruleId }) => ruleId)],
    requiredBy: spoke(found.requires, requiresNow),
    conditions: [...rules.denies, ...rules.allows, ...rules.requires]
      .filter((rule) => rule.when !== undefined)
      .filter((rule) => rule.coversKind(kind) && rule.coversTarget(target, tier))
      .map((rule) => ({
        rule: rule.name,
        effect: rule.effect,
        outcome: nameOutcome(weigh(rule, holder, read)),
      })),
  };
}

function nameOutcome(outcomes: number): ExplainedCondition["outcome"] {
  if (outcomes === isTrue) return "true";
  if (outcomes === isFalse) return "false";
  return outcomes === isFailed ? "failed" : "unknown";
}

/** Arguments of calls have passed the scanner; these come from a person. Null is none, as in a call. */
function needObject(question: Question): Question {
  const { call } = question;
  if (call?.argumentsText === undefined) return question;
  try {
    const value: unknown = JSON.parse(call.argumentsText);
    if (value === null) return { ...question, call: { ...call, argumentsText: undefined } };
    if (typeof value === "object" && !Array.isArray(value)) return question;
  } catch {
    // Told below.
  }
  throw new GatewayError("invalid-params", "the call's arguments: must be a JSON object");
}
