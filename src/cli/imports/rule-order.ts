/**
 * Conditions of prioritised rules, and what the source's "first match decides" means where denials always win: for
 * every grant that stands before a denial and may meet it, the plan says that the denial holds here.
 */
import { entriesOf, isSection, type Section, sectionOf, textOf } from "./fields.ts";
import { type PlanBuilder, refuseFile } from "./plan.ts";

export interface SourceRule {
  readonly name: string;
  readonly effect: "deny" | "allow";
  readonly priority: number;
  readonly condition: SourceCondition;
}

/** In the words of the admin plane. */
export interface SourceCondition {
  readonly server?: string;
  readonly target_pattern?: string;
  readonly principal?: string;
  readonly action?: string;
}

const known = ["user", "action", "mcp_server", "tool_name_pattern"];
const actions: Readonly<Record<string, string>> = {
  list_tools: "POLICY_ACTION_LIST_TOOLS",
  invoke_tool: "POLICY_ACTION_INVOKE_TOOL",
  "*": "POLICY_ACTION_INVOKE_TOOL",
};

/** An unknown key refuses the file: without it the rule would match more than its author meant (P04). */
export function ruleConditionOf(plan: PlanBuilder, value: unknown, where: string): SourceCondition {
  const condition = sectionOf(value, where);
  const unknown = Object.keys(condition).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    refuseFile(`${where}.${unknown}`, `is no condition; known are ${known.join(", ")}`);
  }
  const read = (key: string) => anyOr(textOf(condition[key], `${where}.${key}`));
  const server = read("mcp_server");
  const pattern = read("tool_name_pattern");
  const principal = read("user");
  const action = textOf(condition.action, `${where}.action`) ?? "*";
  if (actions[action] === undefined) refuseFile(`${where}.action`, `"${action}" is no action`);
  if (pattern !== undefined && !/^\.\*|\.\*$/.test(pattern)) {
    const why = "is matched against the whole name of a tool, upper and lower case as written";
    plan.changed(`${where}.tool_name_pattern`, why);
  }
  return {
    ...(server === undefined ? {} : { server: plan.nameOf(server, `${where}.mcp_server`) }),
    ...(pattern === undefined ? {} : { target_pattern: pattern }),
    ...(principal === undefined ? {} : { principal }),
    action: actions[action] ?? "",
  };
}

/** What is empty or `*` matches everything, and is left away. */
function anyOr(text: string | undefined): string | undefined {
  return text === "" || text === "*" ? undefined : text;
}

export function warnOfOrder(plan: PlanBuilder, rules: readonly SourceRule[]): void {
  // Stable: of equal priority the one written first comes first.
  const ordered = rules.toSorted((a, b) => b.priority - a.priority);
  for (const [place, allow] of ordered.entries()) {
    if (allow.effect !== "allow") continue;
    for (const deny of ordered.slice(place + 1)) {
      if (deny.effect !== "deny" || !mayMeet(allow.condition, deny.condition)) continue;
      const why = `was decided before the denial "${deny.name}"; here that denial wins where both match`;
      plan.changed(`rules.${allow.name}`, why);
    }
  }
}

/** Whether some call may match both. Patterns are not compared: two may always meet, unless both name one tool. */
function mayMeet(one: SourceCondition, other: SourceCondition): boolean {
  const differs = (a: string | undefined, b: string | undefined) =>
    a !== undefined && b !== undefined && a !== b;
  if (differs(one.server, other.server) || differs(one.principal, other.principal)) return false;
  const [a, b] = [one.target_pattern, other.target_pattern];
  const isPlain = (text: string | undefined) => text !== undefined && /^[\w-]+$/.test(text);
  return !(isPlain(a) && isPlain(b) && a !== b);
}

/** Whether a mapping of roles looks like this shape's. */
export function hasPermissions(roles: unknown): boolean {
  if (!isSection(roles)) return false;
  return entriesOf(roles, "roles").some(([, entry]: readonly [string, Section, string]) =>
    Object.hasOwn(entry, "permissions"),
  );
}
