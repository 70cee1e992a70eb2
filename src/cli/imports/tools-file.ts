/**
 * A registry of tools (requirements 19.1): each tool has a back end, a scope, a risk and roles. Tools of one scope and
 * back end become one server; what the registry does not list, or lists as inactive, is denied on it.
 */
import { ruleBody, targetNotIn } from "./conditions.ts";
import {
  flagOf,
  leaveOthersOut,
  listOf,
  needText,
  type Section,
  textOf,
  textsOf,
} from "./fields.ts";
import { type PlanBuilder, refuseFile } from "./plan.ts";
import type { ServerListOptions } from "./server-list.ts";

const known = ["name", "description", "backend_url", "scope", "risk_level", "required_roles"];
const notCarried = {
  description: "tools describe themselves",
  input_schema: "the schema that the server gives is the one that calls are held to",
};
const riskTiers = { low: "RISK_TIER_LOW", medium: "RISK_TIER_MEDIUM", high: "RISK_TIER_HIGH" };

interface RegisteredTool {
  readonly name: string;
  readonly scope: string;
  readonly url: string;
  readonly isActive: boolean;
  readonly setting: object;
}

export function translateToolsFile(
  plan: PlanBuilder,
  file: Section,
  options: ServerListOptions,
): void {
  leaveOthersOut(plan, file, ["tools"], "");
  const tools = listOf(file.tools, "tools").map(([entry, where]) => readTool(plan, entry, where));
  const seen = new Set<string>();
  for (const { name } of tools) {
    if (seen.has(name)) refuseFile("tools", `the tool "${name}" is listed twice`);
    seen.add(name);
  }
  for (const scope of new Set(tools.map((tool) => tool.scope))) {
    addScope(
      plan,
      scope,
      tools.filter((tool) => tool.scope === scope),
      options,
    );
  }
}

function readTool(plan: PlanBuilder, entry: Section, where: string): RegisteredTool {
  const name = needText(entry.name, `${where}.name`);
  const place = `tools.${name}`;
  leaveOthersOut(plan, entry, [...known, ...Object.keys(notCarried), "is_active"], place);
  for (const [member, why] of Object.entries(notCarried)) {
    if (entry[member] !== undefined) plan.leftOut(`tools.*.${member}`, why);
  }
  const risk = textOf(entry.risk_level, `${place}.risk_level`) ?? "low";
  const tier = Object.entries(riskTiers).find(([level]) => level === risk)?.[1];
  if (tier === undefined) refuseFile(`${place}.risk_level`, `"${risk}" is not low, medium or high`);
  const roles = textsOf(entry.required_roles, `${place}.required_roles`) ?? [];
  return {
    name,
    scope: needText(entry.scope, `${place}.scope`),
    url: needText(entry.backend_url, `${place}.backend_url`),
    isActive: flagOf(entry.is_active, `${place}.is_active`) ?? true,
    setting: {
      tool: name,
      risk_tier: tier,
      required_roles: roles.map((role) => plan.nameOf(role, `${place}.required_roles`)),
    },
  };
}

/** One server for each back end of the scope; the first has the scope's name. */
function addScope(
  plan: PlanBuilder,
  scope: string,
  tools: readonly RegisteredTool[],
  { allowPrivateNetwork }: ServerListOptions,
): void {
  const urls = [...new Set(tools.map((tool) => tool.url))];
  const base = plan.nameOf(scope, `scope ${scope}`);
  for (const [index, url] of urls.entries()) {
    const name = index === 0 ? base : `${base}-${index + 1}`;
    const own = tools.filter((tool) => tool.url === url);
    if (index > 0) plan.changed(`scope ${scope}`, `has several back ends; ${url} is "${name}"`);
    plan.changed(`server ${name}`, `${url} must speak MCP over Streamable HTTP, or be changed`);
    const remote = { kind: "REMOTE_KIND_STREAMABLE_HTTP", url };
    const settings = own.map((tool) => tool.setting);
    const network = allowPrivateNetwork ? { allow_private_network: true } : {};
    const body = { remote, tool_settings: settings, ...network };
    plan.write("server", name, body, `scope ${scope}`);
    const active = own.filter((tool) => tool.isActive).map((tool) => tool.name);
    const when = targetNotIn(active, `scope ${scope}`);
    const from = `scope ${scope}: active tools`;
    plan.write(
      "deny",
      `only-listed-${name}`.slice(0, 63),
      ruleBody("deny", { server: name, when }),
      from,
    );
  }
}
