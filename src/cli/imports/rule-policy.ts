/**
 * A policy of roles, bindings and rules by priority (requirements 19.3). There the first matching rule decides; here a
 * denial beats every grant, whatever the order, and the plan says where that gives another answer.
 */
import { ruleBody } from "./conditions.ts";
import {
  entriesOf,
  leaveOthersOut,
  listOf,
  needText,
  numberOf,
  type Section,
  sectionOf,
  textsOf,
} from "./fields.ts";
import { type PlanBuilder, refuseFile } from "./plan.ts";
import { ruleConditionOf, type SourceRule, warnOfOrder } from "./rule-order.ts";
import { readDefault } from "./tool-policy.ts";

const actions: Readonly<Record<string, readonly string[]>> = {
  list_tools: ["POLICY_ACTION_LIST_TOOLS"],
  invoke_tool: ["POLICY_ACTION_INVOKE_TOOL"],
  "*": ["POLICY_ACTION_LIST_TOOLS", "POLICY_ACTION_INVOKE_TOOL"],
};

export function translateRulePolicy(plan: PlanBuilder, file: Section): void {
  const known = ["roles", "user_roles", "group_roles", "rules", "default_policy"];
  leaveOthersOut(plan, file, known, "");
  readDefault(plan, file.default_policy, "default_policy");
  const roles = entriesOf(file.roles, "roles").map(([role, entry, where]) => {
    leaveOthersOut(plan, entry, ["permissions", "description"], where);
    const name = plan.nameOf(role, where);
    const permissions = listOf(entry.permissions, `${where}.permissions`).flatMap(([one, place]) =>
      permissionOf(plan, one, place),
    );
    plan.write("role", name, { permissions }, where);
    return role;
  });
  addBindings(plan, file, roles);
  addRules(plan, file);
}

function permissionOf(plan: PlanBuilder, entry: Section, where: string): readonly object[] {
  leaveOthersOut(plan, entry, ["resource", "actions"], where);
  const resource = resourceOf(plan, needText(entry.resource, `${where}.resource`), where);
  if (resource === undefined) return [];
  const given = textsOf(entry.actions, `${where}.actions`) ?? [];
  if (given.includes("*")) {
    plan.changed("actions *", "grants listing and calling of tools, and no prompts or resources");
  }
  const carried = given.flatMap((action) => {
    if (actions[action] === undefined) plan.leftOut(`${where}.actions`, `"${action}" is no action`);
    return actions[action] ?? [];
  });
  return carried.length === 0 ? [] : [{ resource, actions: [...new Set(carried)] }];
}

/** `mcp:{server}:{tool}` with whole segments; a part of a name with a star grants nothing here. */
function resourceOf(plan: PlanBuilder, resource: string, where: string): string | undefined {
  if (resource === "*") return "mcp:*:*";
  const [scheme, server = "", ...rest] = resource.split(":");
  const tool = rest.join(":");
  const isWhole = (part: string) => part === "*" || (part !== "" && !part.includes("*"));
  if (scheme !== "mcp" || !isWhole(server) || !isWhole(tool)) {
    plan.leftOut(
      `${where}.resource`,
      `"${resource}" is not mcp:{server}:{tool} with whole segments`,
    );
    return undefined;
  }
  return `mcp:${server === "*" ? server : plan.nameOf(server, where)}:${tool}`;
}

/** One binding for each role, with all who have it. */
function addBindings(plan: PlanBuilder, file: Section, defined: readonly string[]): void {
  const holders = new Map<string, { users: string[]; groups: string[] }>();
  for (const [member, kind] of [
    ["user_roles", "users"],
    ["group_roles", "groups"],
  ] as const) {
    const entries = Object.entries(sectionOf(file[member], member));
    for (const [who, given] of entries) {
      const where = `${member}.${who}`;
      for (const role of textsOf(typeof given === "string" ? [given] : given, where) ?? []) {
        if (!defined.includes(role)) {
          plan.leftOut(where, `there is no role "${role}"`);
          continue;
        }
        const found = holders.get(role) ?? { users: [], groups: [] };
        found[kind].push(who);
        holders.set(role, found);
      }
    }
    if (kind === "users" && entries.length > 0) {
      plan.changed(
        member,
        "users are matched by principal id or the token's subject, by nothing else",
      );
    }
  }
  for (const [role, { users, groups }] of holders) {
    const name = plan.nameOf(role, `roles.${role}`);
    plan.write("binding", name, { roles: [name], users, groups }, `holders of ${role}`);
  }
}

function addRules(plan: PlanBuilder, file: Section): void {
  const rules = listOf(file.rules, "rules").map(([entry, where]) => addRule(plan, entry, where));
  warnOfOrder(plan, rules);
}

function addRule(plan: PlanBuilder, entry: Section, where: string): SourceRule {
  const given = needText(entry.name, `${where}.name`);
  const place = `rules.${given}`;
  leaveOthersOut(plan, entry, ["name", "condition", "action", "priority", "metadata"], place);
  const effect = needText(entry.action, `${place}.action`);
  if (effect !== "deny" && effect !== "allow") {
    return refuseFile(`${place}.action`, `"${effect}" is neither allow nor deny`);
  }
  const priority = numberOf(entry.priority, `${place}.priority`) ?? 0;
  const condition = ruleConditionOf(plan, entry.condition, `${place}.condition`);
  if (effect === "deny" && condition.action === actions.list_tools?.[0]) {
    plan.changed(place, "denies calling too: what cannot be listed cannot be called");
  }
  const limit = rateLimitOf(plan, entry.metadata, effect, `${place}.metadata`);
  const more = { priority: Math.trunc(priority), ...limit };
  plan.write(effect, plan.nameOf(given, place), ruleBody(effect, condition, more), place);
  return { name: given, effect, priority, condition };
}

const windows: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3_600,
  day: 86_400,
};

/** `rate_limit: "10/minute"`, which becomes a limit of the rule (L13). */
function rateLimitOf(
  plan: PlanBuilder,
  value: unknown,
  effect: "deny" | "allow",
  where: string,
): object {
  const entries = Object.entries(sectionOf(value, where));
  for (const [name] of entries) {
    if (name !== "rate_limit") plan.leftOut(`${where}.${name}`, "rules keep no other metadata");
  }
  const limit = entries.find(([name]) => name === "rate_limit")?.[1];
  if (limit === undefined) return {};
  const [, count = "", unit = ""] = /^(\d{1,9}) ?\/ ?(\w+?)s?$/.exec(String(limit)) ?? [];
  const seconds = windows[unit];
  if (effect === "deny" || seconds === undefined || Number(count) < 1) {
    if (effect === "allow")
      refuseFile(`${where}.rate_limit`, `"${limit}" is not N/second, minute, hour or day`);
    plan.leftOut(`${where}.rate_limit`, "what is denied needs no limit");
    return {};
  }
  const rateLimit = { requests: Number(count), window_seconds: seconds };
  return { obligations: { rate_limit: rateLimit } };
}
