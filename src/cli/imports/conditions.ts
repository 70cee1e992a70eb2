/**
 * Rules and their conditions as the admin plane takes them. Names of tools become CEL lists, compared as exact texts.
 */
import { refuseFile } from "./plan.ts";

/** What a list in a condition holds, and how long an expression is, at most. */
const namesMax = 200;
const expressionCharsMax = 4_000;

/** `call.target in ["a", "b"]`, or its opposite. */
export function targetIn(names: readonly string[], where: string): string {
  return `call.target in ${namesList(names, where)}`;
}

export function targetNotIn(names: readonly string[], where: string): string {
  return names.length === 0 ? "true" : `!(${targetIn(names, where)})`;
}

/** The principal holds none of these roles, whatever else it holds. */
export function holdsNone(roles: readonly string[], where: string): string {
  return `!principal.roles.exists(role, role in ${namesList(roles, where)})`;
}

function namesList(names: readonly string[], where: string): string {
  const list = JSON.stringify([...new Set(names)]);
  if (names.length > namesMax || list.length > expressionCharsMax) {
    refuseFile(where, `more names than one condition holds (${namesMax}, or 4,000 characters)`);
  }
  return list;
}

export function ruleBody(
  effect: "deny" | "allow",
  condition: object,
  more: object = {},
): Readonly<Record<string, unknown>> {
  return {
    effect: effect === "deny" ? "RULE_EFFECT_DENY" : "RULE_EFFECT_ALLOW",
    condition: { action: "POLICY_ACTION_INVOKE_TOOL", ...condition },
    ...more,
  };
}

/** A role's right to call tools, as `mcp:{server}:{tool}`. */
export function toolPermission(resource: string): object {
  return { resource, actions: ["POLICY_ACTION_INVOKE_TOOL"] };
}
