/**
 * What Explain found as its message: the decision, what spoke for and against it, what is owed, and where each role
 * comes from.
 */
import type {
  DecisionObligations,
  ExplainResponse,
  RoleSource,
  RuleEffect,
} from "../../gen/types.ts";
import type { Explanation } from "../../policy/explain.ts";
import { compileHolders } from "../../policy/holder.ts";
import type { Asker, Obligations, Question } from "../../policy/rule.ts";
import type { Snapshot } from "../../state/snapshot.ts";

const effects = {
  deny: "RULE_EFFECT_DENY",
  allow: "RULE_EFFECT_ALLOW",
  require: "RULE_EFFECT_REQUIRE",
} as const satisfies Readonly<Record<string, RuleEffect>>;

export function fromExplanation(
  explanation: Explanation,
  asked: { readonly asker: Asker; readonly question: Question; readonly snapshot: Snapshot },
): ExplainResponse {
  const { decision, roles, deniedBy, grantedBy, requiredBy, conditions } = explanation;
  const { question, snapshot } = asked;
  return {
    allowed: decision.allowed,
    reason: decision.reason,
    decided_by: decision.ruleId,
    roles,
    denied_by: deniedBy,
    granted_by: grantedBy,
    required_by: requiredBy,
    ...(decision.obligations && { obligations: fromOwed(decision.obligations) }),
    role_sources: roleSources(asked.asker, snapshot),
    conditions: conditions.map(({ rule, effect, outcome }) => {
      return { rule, effect: effects[effect], outcome };
    }),
    server: question.server,
    target: question.target,
    state_revision: snapshot.stateRevision,
  };
}

function fromOwed(owed: Obligations): DecisionObligations {
  return {
    scopes: owed.scopes,
    step_up: owed.stepUp.map(({ acrValues, amrValues, maxAgeSeconds }) => ({
      acr_values: acrValues,
      amr_values: amrValues,
      ...(maxAgeSeconds !== undefined && { max_age_seconds: maxAgeSeconds }),
    })),
    approval: owed.approval,
    redaction: owed.redaction ?? "",
    audit_class: owed.auditClass ?? "",
    rate_tier: owed.rateTier ?? "",
    rate_limits: owed.rateLimits.map(({ rule, requests, windowSeconds }) => {
      return { rule, requests, window_seconds: windowSeconds };
    }),
  };
}

/** Each role once for each way it is held; bindings are asked one by one, by the part that holds roles for calls. */
function roleSources(asker: Asker, { policyInput, clients }: Snapshot): readonly RoleSource[] {
  const registered = clients.get(asker.clientId ?? "")?.roles ?? [];
  const isDefined = (name: string) =>
    policyInput.roles.some(
      (role) => role.name === name && (role.tenant === undefined || role.tenant === asker.tenant),
    );
  const own = [...new Set(asker.roles)].map((role) => ({
    role,
    source: registered.includes(role) ? `client:${asker.clientId}` : "token",
  }));
  const bound = policyInput.bindings.flatMap((binding) => {
    const holderOf = compileHolders({ clients: [], roles: [], bindings: [binding], rules: [] });
    const given = holderOf({ ...asker, roles: [] }).roles;
    return [...given].map((role) => ({ role, source: `binding:${binding.name}` }));
  });
  return [...own, ...bound]
    .map(({ role, source }) => ({ role, source, defined: isDefined(role) }))
    .sort((a, b) => (a.role < b.role || (a.role === b.role && a.source < b.source) ? -1 : 1));
}
