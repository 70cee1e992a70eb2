/**
 * Which shape a file has, told by its own members, and the plan of its import. A file of no known shape, or of two, is
 * refused: half of an understood policy is not a safer one.
 */
import { isSection, type Section } from "./fields.ts";
import { createPlan, type ImportPlan, type PlanBuilder, refuseFile } from "./plan.ts";
import { hasPermissions } from "./rule-order.ts";
import { translateRulePolicy } from "./rule-policy.ts";
import { listKeys, type ServerListOptions, translateServerList } from "./server-list.ts";
import { type ToolPolicyOptions, translateToolPolicy } from "./tool-policy.ts";
import { translateToolsFile } from "./tools-file.ts";

export type ImportOptions = ServerListOptions & ToolPolicyOptions;

interface FileShape {
  readonly name: string;
  isThis(file: Section): boolean;
  translate(plan: PlanBuilder, file: Section, options: ImportOptions): void;
}

const shapes: readonly FileShape[] = [
  {
    name: "a registry of tools (tools: a list)",
    isThis: (file) => Array.isArray(file.tools),
    translate: translateToolsFile,
  },
  {
    name: "tool lists by role (roles.*.allowed_tools, workspaces, default_action)",
    isThis: (file) =>
      hasAny(file, ["default_action", "workspaces"]) ||
      (isSection(file.tools) && !hasPermissions(file.roles)) ||
      hasMember(file.roles, "allowed_tools"),
    translate: translateToolPolicy,
  },
  {
    name: "roles, bindings and rules (roles.*.permissions, user_roles, rules)",
    isThis: (file) =>
      hasAny(file, ["user_roles", "group_roles", "rules", "default_policy"]) ||
      hasPermissions(file.roles),
    translate: translateRulePolicy,
  },
  {
    name: `MCP servers (${listKeys.join(", ")})`,
    isThis: (file) => listKeys.some((key) => isSection(file[key])),
    translate: translateServerList,
  },
];

export interface Translation extends ImportPlan {
  /** What kind of file it was taken for. */
  readonly shape: string;
}

/** Throws CommandError where the file is of no shape, or something in it cannot be understood. */
export function translateFile(value: unknown, options: ImportOptions): Translation {
  if (!isSection(value)) return refuseFile("the file", "must be a mapping");
  const fitting = shapes.filter((shape) => shape.isThis(value));
  const [shape] = fitting;
  if (shape === undefined || fitting.length > 1) {
    const found = shape === undefined ? "is of no known shape" : "is of several shapes at once";
    return refuseFile(
      "the file",
      `${found}; known are ${shapes.map(({ name }) => name).join("; ")}`,
    );
  }
  const plan = createPlan();
  shape.translate(plan, value, options);
  return { shape: shape.name, ...plan.build() };
}

function hasAny(file: Section, keys: readonly string[]): boolean {
  return keys.some((key) => Object.hasOwn(file, key));
}

function hasMember(roles: unknown, member: string): boolean {
  return (
    isSection(roles) &&
    Object.values(roles).some((entry) => isSection(entry) && Object.hasOwn(entry, member))
  );
}
