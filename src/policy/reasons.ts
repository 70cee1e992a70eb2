/**
 * How decisions are worded, for operators and the record. Made once for each rule, role and client, and frozen.
 */
import type { Decision } from "./rule.ts";

export function denied(ruleId: string, how: string): Decision {
  return Object.freeze({ allowed: false, reason: `denied${how}`, ruleId });
}

export function allowed(ruleId: string, how: string): Decision {
  return Object.freeze({ allowed: true, reason: `allowed${how}`, ruleId });
}

export const deniedByDefault: Decision = denied("default", " by default");

/**
 * A decision as the record names it, in the part that nobody can erase: that the caller's own list decided, and not
 * whose list it was, which its sealed part says.
 */
export function recordedName(ruleId: string): string {
  return ruleId.startsWith("client:") ? "client" : ruleId;
}
