/**
 * Explains a decision to an operator: everything that spoke for or against it, not only what was named. Asks the
 * compiled policy about each part alone, so it cannot disagree with it. For the admin plane; not for the hot path.
 */
import { compilePolicy, effectiveRoles } from "./compile.ts";
import type { Asker, Decision, PolicyInput, Question } from "./rule.ts";

export interface Explanation {
  readonly decision: Decision;
  /** Roles the asker holds by token, registration or binding; unknown ones included. */
  readonly roles: readonly string[];
  /** Every deny that matched, as `rule:name`. */
  readonly deniedBy: readonly string[];
  /** Every grant that matched, as `rule:name`, `client:id` or `role:name`. */
  readonly grantedBy: readonly string[];
}

export function explain(input: PolicyInput, asker: Asker, question: Question): Explanation {
  const roles = [...effectiveRoles(asker, input.bindings)].sort();
  const nothing: PolicyInput = { clients: [], roles: [], bindings: [], rules: [] };
  const parts: PolicyInput[] = [
    ...input.rules.map((rule) => ({ ...nothing, rules: [rule] })),
    ...input.clients
      .filter((client) => client.id === asker.clientId)
      .map((client) => ({ ...nothing, clients: [client] })),
    ...input.roles.map((role) => ({ ...nothing, roles: [role] })),
  ];
  const holder = { ...asker, roles };
  const verdicts = parts.map((part) => compilePolicy(part).decide(holder, question));
  const spoke = verdicts.filter((verdict) => verdict.ruleId !== "default");
  return {
    decision: compilePolicy(input).decide(asker, question),
    roles,
    deniedBy: spoke.filter((verdict) => !verdict.allowed).map((verdict) => verdict.ruleId),
    grantedBy: spoke.filter((verdict) => verdict.allowed).map((verdict) => verdict.ruleId),
  };
}
