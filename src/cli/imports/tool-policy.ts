/**
 * A policy of tool lists by role and workspace (requirements 19.2). Permissions of several roles add up, as they do
 * here; a workspace's list replaces those of the roles, which takes a grant for what it lists and a denial of the rest.
 */
import { holdsNone, ruleBody, targetIn, targetNotIn, toolPermission } from "./conditions.ts";
import { entriesOf, leaveOthersOut, type Section, textOf, textsOf } from "./fields.ts";
import { type PlanBuilder, refuseFile } from "./plan.ts";

export interface ToolPolicyOptions {
  /** The server that the file's tools are on; undefined = a name means that tool on every server. */
  readonly server: string | undefined;
}

export function translateToolPolicy(
  plan: PlanBuilder,
  file: Section,
  { server }: ToolPolicyOptions,
): void {
  leaveOthersOut(plan, file, ["default_action", "roles", "workspaces", "tools"], "");
  readDefault(plan, file.default_action, "default_action");
  if (server === undefined) {
    plan.changed(
      "tool names",
      "hold on every server; --server NAME says which one they are meant for",
    );
  }
  for (const [role, entry, where] of entriesOf(file.roles, "roles")) {
    addRole(plan, role, entry, where, server ?? "*");
  }
  const onServer = server === undefined ? {} : { server };
  for (const [workspace, entry, where] of entriesOf(file.workspaces, "workspaces")) {
    addWorkspace(plan, workspace, entry, where, onServer);
  }
  for (const [tool, entry, where] of entriesOf(file.tools, "tools")) {
    addTool(plan, tool, entry, where, onServer);
  }
}

/** What is granted by nobody is denied here, whatever the file says. */
export function readDefault(plan: PlanBuilder, value: unknown, where: string): void {
  const given = textOf(value, where) ?? "deny";
  if (given === "allow") {
    plan.leftOut(where, "what nobody grants is always denied here; grant it by a role instead");
  } else if (given !== "deny") refuseFile(where, `"${given}" is neither allow nor deny`);
}

function addRole(
  plan: PlanBuilder,
  role: string,
  entry: Section,
  where: string,
  server: string,
): void {
  leaveOthersOut(plan, entry, ["allowed_tools"], where);
  const name = plan.nameOf(role, where);
  const list = textsOf(entry.allowed_tools, `${where}.allowed_tools`) ?? [];
  const tools = wholeList(plan, list, `${where}.allowed_tools`) === "all" ? ["*"] : exact(list);
  const permissions = tools.map((tool) => toolPermission(`mcp:${server}:${tool}`));
  plan.write("role", name, { permissions }, where);
}

function addWorkspace(
  plan: PlanBuilder,
  workspace: string,
  entry: Section,
  where: string,
  onServer: object,
): void {
  leaveOthersOut(plan, entry, ["allowed_tools", "denied_tools"], where);
  const name = plan.nameOf(`workspace-${workspace}`, where);
  const about = { ...onServer, workspaces: [workspace] };
  const rule = (effect: "deny" | "allow", suffix: string, when: string | undefined) => {
    const body = ruleBody(effect, when === undefined ? about : { ...about, when });
    plan.write(effect, `${name.slice(0, 50)}-${suffix}`, body, where);
  };
  const allowedAt = `${where}.allowed_tools`;
  const allowed = textsOf(entry.allowed_tools, allowedAt);
  if (allowed !== undefined) {
    const isAll = wholeList(plan, allowed, allowedAt) === "all";
    const names = exact(allowed);
    if (isAll) rule("allow", "allowed", undefined);
    else if (names.length > 0) rule("allow", "allowed", targetIn(names, allowedAt));
    if (!isAll) rule("deny", "others", targetNotIn(names, allowedAt));
  }
  const deniedAt = `${where}.denied_tools`;
  const denied = textsOf(entry.denied_tools, deniedAt) ?? [];
  if (denied.length === 0) return;
  // A star anywhere denies all: of a denial the wider reading is the safe one.
  rule("deny", "denied", denied.includes("*") ? undefined : targetIn(denied, deniedAt));
}

/** Required roles bind holders of `*` too, so they become a denial of everybody else. */
function addTool(
  plan: PlanBuilder,
  tool: string,
  entry: Section,
  where: string,
  onServer: object,
): void {
  leaveOthersOut(plan, entry, ["risk_tier", "required_roles"], where);
  if (entry.risk_tier !== undefined) {
    const hint = "set it as tool_settings.risk_tier of the server that has the tool";
    plan.leftOut(`${where}.risk_tier`, `${hint}: "${String(entry.risk_tier).slice(0, 32)}"`);
  }
  const at = `${where}.required_roles`;
  const roles = textsOf(entry.required_roles, at) ?? [];
  if (roles.length === 0) return;
  const needed = roles.map((role) => plan.nameOf(role, at));
  const when = `${targetIn([tool], at)} && ${holdsNone(needed, at)}`;
  const name = plan.nameOf(`tool-${tool}`, where).slice(0, 50);
  plan.write("deny", `${name}-needs-role`, ruleBody("deny", { ...onServer, when }), at);
}

/** A star is a wildcard as the only entry; among others it names a tool that nobody has. */
function wholeList(plan: PlanBuilder, list: readonly string[], where: string): "all" | "names" {
  if (list.length === 1 && list[0] === "*") return "all";
  if (list.includes("*")) plan.leftOut(where, '"*" counts only as the single entry of a list');
  return "names";
}

function exact(list: readonly string[]): readonly string[] {
  return list.filter((name) => name !== "*");
}
