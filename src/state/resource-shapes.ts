/**
 * What a well-formed resource of each kind looks like: names, ranges and patterns, field by field. The only place
 * that states them; `build.ts` reads every stored body through this table, so nothing invalid is ever served or stored.
 */
import { riskTiers } from "../policy/rule.ts";
import { dataClasses, type ToolSetting } from "../servers/spec.ts";
import {
  flag,
  integer,
  list,
  matching,
  object,
  oneOf,
  optional,
  refuseField,
  type Shape,
  text,
} from "./body-shape.ts";
import { obligationsShape } from "./obligation-shapes.ts";
import { checkProofs, proofMembers } from "./proof-shapes.ts";
import {
  type BindingResource,
  type ClientGrantsPart,
  type ClientLimits,
  type ClientResource,
  policyActions,
  type RetentionRuleResource,
  type RoleResource,
  type RuleResource,
  type ServerResource,
  type ServerToolsPart,
  type TokenResource,
  type VirtualServerResource,
} from "./resources.ts";
import { checkAuth, serverAuthShape } from "./server-auth-shape.ts";
import { transportShape } from "./server-transport-shape.ts";

const listMax = 10_000;
const patternLengthMax = 1024;
const dayMs = 86_400_000;
const timeMaxMs = 8.64e15;

/** Names of servers, virtual servers, clients, roles, bindings and rules. */
export const resourceName = matching(
  /^[a-z0-9][a-z0-9-]{0,62}$/,
  63,
  "1 to 63 of a-z, 0-9 and -, not starting with -",
);
/** A name that is also a scope: `all` is the merge of everything and cannot be taken. */
export const scopeName: Shape<string> = (value, path) => {
  const name = resourceName(value, path);
  return name === "all" ? refuseField(path, 'the name "all" is reserved') : name;
};

const description = text(4096);
/** As a token's claim or a client's registration says it; compared whole, never joined to anything. */
const tenant = optional(
  matching(/^\P{Cc}{1,256}$/u, 256, "1 to 256 characters without control characters"),
);
const targetName = text(512, 1);
/** `server__name`, `server__*` or `*`: a wildcard stands for a whole segment only. */
const grant = matching(
  /^(\*|[a-z0-9][a-z0-9-]{0,62}__(\*|[^*\s]{1,512}))$/,
  640,
  '"*", "server__*" or "server__name"',
);
const uriPattern = text(patternLengthMax, 1);
const origin: Shape<string> = (value, path) => {
  const read = text(512, 1)(value, path);
  const isOrigin = URL.canParse(read) && new URL(read).origin === read;
  return isOrigin ? read : refuseField(path, 'must be an origin such as "https://app.example.com"');
};
const resourcePattern = matching(
  /^mcp:(\*|[a-z0-9][a-z0-9-]{0,62}):(\*|[^*\s]{1,512})$/,
  640,
  '"mcp:{server}:{target}", where a whole segment may be "*"',
);

const limit = optional(integer(1, 1_000_000_000));
const limitOrNone = optional(integer(0, 1_000_000_000));
/** A tier of limits or a redaction profile: spelt as in the configuration. */
const configuredName = matching(/^[a-z0-9][a-z0-9_-]{0,62}$/, 63, "a name of the configuration");
const clientLimits = object<Partial<ClientLimits>>({
  tier: optional(configuredName),
  requestsPerMinute: limit,
  burst: limit,
  toolRequestsPerMinute: limit,
  toolBurst: limit,
  serverRequestsPerMinute: limitOrNone,
  serverBurst: limitOrNone,
  requestsPer10Seconds: limitOrNone,
  requestsPerHour: limitOrNone,
  requestsPerDay: limitOrNone,
  maxInFlight: limit,
  requestBytesMax: limit,
});

const clientMembers = object<ClientResource>({
  id: resourceName,
  tenant,
  displayName: text(256),
  enabled: flag,
  allowedTools: list(grant, listMax),
  allowedResources: list(uriPattern, listMax),
  allowedPrompts: list(grant, listMax),
  roles: list(resourceName, 256),
  allowedOrigins: list(origin, 256),
  ...proofMembers,
  limits: clientLimits,
});

export const clientShape: Shape<ClientResource> = (value, path) => {
  const client = clientMembers(value, path);
  checkProofs(client, path);
  return client;
};
/** What of a client is policy; see `policy-objects.ts`. */
export const clientGrantsShape = object<ClientGrantsPart>({
  tenant,
  allowedTools: list(grant, listMax),
  allowedResources: list(uriPattern, listMax),
  allowedPrompts: list(grant, listMax),
  roles: list(resourceName, 256),
});

export const tokenShape = object<TokenResource>({
  id: text(64, 1),
  clientId: resourceName,
  digest: matching(/^[0-9a-f]{64}$/, 64, "64 hex digits"),
  keyId: matching(/^[0-9a-f]{16}$/, 16, "16 hex digits"),
  createdAtMs: integer(0, timeMaxMs),
  expiresAtMs: optional(integer(0, timeMaxMs)),
});

const toolSetting = object<ToolSetting>({
  tool: targetName,
  readOnly: flag,
  cacheTtlMs: integer(0, 30 * dayMs),
  cachePublic: flag,
  riskTier: optional(oneOf(riskTiers)),
  requiredRoles: optional(list(resourceName, 256)),
  cost: optional(integer(1, 1_000_000)),
  auditClass: optional(oneOf(["A+", "A"])),
});

const toolSettingList = list(toolSetting, listMax);

/**
 * One entry for each tool. A state written before `needDistinctTools` was asked may hold several of one: the first
 * counts, and what it leaves unset is the next one's, so no role and no tier that somebody asked for is lost.
 */
const toolSettings: Shape<readonly ToolSetting[]> = (value, path) => {
  const byTool = new Map<string, ToolSetting>();
  for (const next of toolSettingList(value, path)) {
    const first = byTool.get(next.tool);
    byTool.set(next.tool, first === undefined ? next : joinSettings(first, next));
  }
  return Object.freeze([...byTool.values()]);
};

function joinSettings(first: ToolSetting, next: ToolSetting): ToolSetting {
  return Object.freeze({
    ...first,
    riskTier: first.riskTier ?? next.riskTier,
    requiredRoles: first.requiredRoles ?? next.requiredRoles,
    cost: first.cost ?? next.cost,
    auditClass: first.auditClass ?? next.auditClass,
  });
}

/** Refuses a tool that is named twice, wherever operators say something of tools. */
export function needDistinctTools(tools: readonly { readonly tool: string }[], path: string): void {
  const seen = new Set<string>();
  for (const { tool } of tools) {
    if (seen.has(tool)) {
      const name = JSON.stringify(tool.slice(0, 64));
      refuseField(path, `the tool ${name} is there twice; one entry for each tool is allowed`);
    }
    seen.add(tool);
  }
}

const toolRisks = list(
  object<ServerToolsPart["tools"][number]>({
    tool: targetName,
    riskTier: oneOf(riskTiers),
    requiredRoles: list(resourceName, 256),
  }),
  listMax,
);

/** What of a server is policy. */
export const serverToolsShape = object<ServerToolsPart>({
  tools: (value, path) => {
    const tools = toolRisks(value, path);
    needDistinctTools(tools, path);
    return tools;
  },
});

const serverFields = object<ServerResource>({
  name: scopeName,
  tenant,
  description,
  transport: transportShape,
  era: oneOf(["auto", "legacy", "modern"]),
  enabled: flag,
  connectTimeoutMs: integer(1, 600_000),
  callTimeoutMs: integer(1, dayMs),
  responseBytesMax: integer(1024, 1_073_741_824),
  maxInFlight: integer(1, 100_000),
  listTtlMs: integer(0, 30 * dayMs),
  listsPublic: flag,
  toolSettings,
  dataClass: oneOf(dataClasses),
  allowPrivateNetwork: flag,
  auth: optional(serverAuthShape),
});

export const serverShape: Shape<ServerResource> = (value, path) => {
  const server = serverFields(value, path);
  checkAuth(server);
  return server;
};

const bundledName = object<VirtualServerResource["tools"][number]>({
  server: resourceName,
  name: targetName,
  exposedName: optional(targetName),
});

export const virtualServerShape = object<VirtualServerResource>({
  name: scopeName,
  tenant,
  description,
  enabled: flag,
  tools: list(bundledName, listMax),
  prompts: list(bundledName, listMax),
  resources: list(object({ server: resourceName, uriPattern }), listMax),
});

const action = oneOf(policyActions);

export const roleShape = object<RoleResource>({
  name: resourceName,
  tenant,
  description,
  permissions: list(
    object({ resource: resourcePattern, actions: list(action, policyActions.length) }),
    listMax,
  ),
});

export const bindingShape = object<BindingResource>({
  name: resourceName,
  tenant,
  roles: list(resourceName, 256),
  users: list(text(512, 1), listMax),
  groups: list(text(512, 1), listMax),
});

const anyOf = optional(list(text(512, 1), 256));
export const ruleShape = object<RuleResource>({
  name: resourceName,
  tenant,
  effect: oneOf(["deny", "allow", "require"]),
  priority: integer(-1_000_000, 1_000_000),
  condition: object<RuleResource["condition"]>({
    server: optional(resourceName),
    targetPattern: optional(text(patternLengthMax, 1)),
    ignoreCase: flag,
    principal: optional(text(512, 1)),
    action: optional(action),
    roles: optional(list(resourceName, 256)),
    groups: anyOf,
    workspaces: anyOf,
    riskTiers: optional(list(oneOf(riskTiers), riskTiers.length)),
    when: optional(text(4096, 1)),
  }),
  obligations: optional(obligationsShape),
  enabled: flag,
});

export const retentionRuleShape = object<RetentionRuleResource>({
  id: resourceName,
  tenant,
  description,
  policyType: oneOf(["time_based"]),
  action: oneOf(["delete", "retain"]),
  retentionDays: integer(1, 36_500),
  dataClass: optional(text(128, 1)),
  event: optional(text(128, 1)),
  clientId: optional(text(128, 1)),
  priority: integer(-1_000_000, 1_000_000),
  enabled: flag,
});
