/**
 * What of the operators' state is policy: roles, bindings and rules whole, of a client what it is granted, of a server
 * what is said of its tools. Drafts, history and the two-person rule all see policy through here, so none of them can
 * overlook what another one knows.
 */
import type { Shape } from "./body-shape.ts";
import {
  bindingShape,
  clientGrantsShape,
  clientShape,
  roleShape,
  ruleShape,
  serverShape,
  serverToolsShape,
} from "./resource-shapes.ts";
import {
  type ClientGrantsPart,
  type PolicyObjectKind,
  policyObjectKinds,
  type ServerToolsPart,
} from "./resources.ts";

const parts: Readonly<Record<PolicyObjectKind, Shape<object>>> = {
  role: roleShape,
  binding: bindingShape,
  rule: ruleShape,
  client: clientGrantsShape,
  server: serverToolsShape,
};

export function isPolicyKind(kind: string): kind is PolicyObjectKind {
  return policyObjectKinds.some((known) => known === kind);
}

/** Reads a part that was taken out of a resource before; throws invalid-params. */
export function readPart(kind: PolicyObjectKind, part: object, path: string): object {
  return parts[kind](part, path);
}

/** The policy in a resource's body; undefined where it holds none. */
export function policyPartOf(kind: PolicyObjectKind, body: unknown): object | undefined {
  switch (kind) {
    case "role":
    case "binding":
    case "rule":
      return parts[kind](body, kind);
    case "client": {
      const { tenant, ...client } = clientShape(body, kind);
      const { allowedTools, allowedResources, allowedPrompts, roles } = client;
      const part = { tenant, allowedTools, allowedResources, allowedPrompts, roles };
      return grantsNothing(part) ? undefined : clientGrantsShape(part, kind);
    }
    case "server": {
      const tools = serverShape(body, kind)
        .toolSettings.map(({ tool, riskTier = "low", requiredRoles = [] }) => {
          return { tool, riskTier, requiredRoles };
        })
        .filter(({ riskTier, requiredRoles }) => riskTier !== "low" || requiredRoles.length > 0);
      return tools.length === 0 ? undefined : serverToolsShape({ tools }, kind);
    }
    default:
      return kind satisfies never;
  }
}

/** The body with this policy in it, the rest as it is; undefined where nothing is left. */
export function withPolicyPart(
  kind: PolicyObjectKind,
  body: unknown,
  part: object | undefined,
): object | undefined {
  switch (kind) {
    case "role":
    case "binding":
    case "rule":
      return part;
    case "client": {
      const client = clientShape(body, kind);
      const { tenant, ...grants } =
        part === undefined ? { ...noGrants, tenant: undefined } : clientGrantsShape(part, kind);
      return { ...client, ...grants };
    }
    case "server": {
      const server = serverShape(body, kind);
      const { tools } = part === undefined ? { tools: [] } : serverToolsShape(part, kind);
      return { ...server, toolSettings: mergeSettings(server.toolSettings, tools) };
    }
    default:
      return kind satisfies never;
  }
}

/** Whether two parts of one kind say the same. */
export function samePart(
  kind: PolicyObjectKind,
  a: object | undefined,
  b: object | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  // Shapes give their members one order.
  return JSON.stringify(parts[kind](a, kind)) === JSON.stringify(parts[kind](b, kind));
}

const noGrants = { allowedTools: [], allowedResources: [], allowedPrompts: [], roles: [] };

function grantsNothing(part: ClientGrantsPart): boolean {
  const { allowedTools, allowedResources, allowedPrompts, roles } = part;
  return [allowedTools, allowedResources, allowedPrompts, roles].every((one) => one.length === 0);
}

type Settings = ReturnType<typeof serverShape>["toolSettings"];

/** What else is said of a tool, such as whether it only reads, stays. */
function mergeSettings(settings: Settings, tools: ServerToolsPart["tools"]): Settings {
  const said = new Map(tools.map((one) => [one.tool, one]));
  const kept = settings.map(({ riskTier, requiredRoles, ...rest }) => {
    const part = said.get(rest.tool);
    said.delete(rest.tool);
    return part === undefined ? rest : { ...rest, ...part };
  });
  const added = [...said.values()].map((part) => {
    return { readOnly: false, cacheTtlMs: 0, cachePublic: false, ...part };
  });
  return [...kept, ...added];
}
