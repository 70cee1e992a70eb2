/**
 * Servers, virtual servers and their status between protobuf and resources. Values of headers and environment are
 * write-only: they go in and never come out.
 */
import { GatewayError } from "../../errors/fault.ts";
import type {
  BundledName,
  DataClass,
  RemoteKind,
  Server,
  ServerEra,
  ServerState,
  ServerStatus as StatusMessage,
  VirtualServer,
} from "../../gen/types.ts";
import type { ServerStatus } from "../../servers/client.ts";
import type { ServerTransport } from "../../servers/spec.ts";
import { serverShape, virtualServerShape } from "../../state/resource-shapes.ts";
import type { ServerResource, VirtualServerResource } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import {
  keyFor,
  orDefault,
  orNone,
  orUndefined,
  redacted,
  riskTierNames,
  toMetadata,
} from "./common.ts";
import { fromAuth, toAuth } from "./server-auth.ts";

const eras = {
  SERVER_ERA_AUTO: "auto",
  SERVER_ERA_LEGACY: "legacy",
  SERVER_ERA_MODERN: "modern",
} as const satisfies Partial<Record<ServerEra, ServerResource["era"]>>;

const dataClassNames = {
  DATA_CLASS_PUBLIC: "PUBLIC",
  DATA_CLASS_INTERNAL: "INTERNAL",
  DATA_CLASS_CONFIDENTIAL: "CONFIDENTIAL",
  DATA_CLASS_RESTRICTED: "RESTRICTED",
  DATA_CLASS_PERSONAL: "PERSONAL",
  DATA_CLASS_SENSITIVE_PERSONAL: "SENSITIVE_PERSONAL",
} as const satisfies Partial<Record<DataClass, ServerResource["dataClass"]>>;

const remoteKinds = {
  REMOTE_KIND_STREAMABLE_HTTP: "streamable-http",
  REMOTE_KIND_HTTP_SSE: "http-sse",
  REMOTE_KIND_WEBSOCKET: "websocket",
} as const satisfies Partial<Record<RemoteKind, ServerTransport["kind"]>>;

const states = {
  SERVER_STATE_IDLE: "idle",
  SERVER_STATE_CONNECTING: "connecting",
  SERVER_STATE_READY: "ready",
  SERVER_STATE_FAILING: "failing",
  SERVER_STATE_DISABLED: "disabled",
} as const satisfies Partial<Record<ServerState, ServerStatus["state"]>>;

/** What a registration that leaves a field unset gets; from the configuration. */
export type ServerDefaults = Pick<
  ServerResource,
  | "connectTimeoutMs"
  | "callTimeoutMs"
  | "responseBytesMax"
  | "maxInFlight"
  | "listTtlMs"
  | "allowPrivateNetwork"
>;

/** `previous` lends its secrets where the message holds "[redacted]". */
export function toServerResource(
  message: Server,
  previous: StoredResource | undefined,
  defaults: ServerDefaults,
): ServerResource {
  const stored = previous && serverShape(previous.body, "server");
  const before = stored?.transport;
  const transport = toTransport(message, before);
  return {
    name: message.name,
    tenant: orUndefined(message.tenant),
    description: message.description,
    transport,
    era: message.era === "SERVER_ERA_UNSPECIFIED" ? "auto" : eras[message.era],
    enabled: message.enabled ?? true,
    connectTimeoutMs: orDefault(message.connect_timeout_ms, defaults.connectTimeoutMs),
    callTimeoutMs: orDefault(message.call_timeout_ms, defaults.callTimeoutMs),
    responseBytesMax: orDefault(message.response_bytes_max, defaults.responseBytesMax),
    maxInFlight: orDefault(message.max_in_flight, defaults.maxInFlight),
    listTtlMs: message.list_ttl_ms ?? defaults.listTtlMs,
    listsPublic: message.lists_public,
    toolSettings: message.tool_settings.map((setting) => ({
      tool: setting.tool,
      readOnly: setting.read_only,
      cacheTtlMs: setting.cache_ttl_ms,
      cachePublic: setting.cache_public,
      riskTier:
        setting.risk_tier === "RISK_TIER_UNSPECIFIED"
          ? undefined
          : riskTierNames[setting.risk_tier],
      requiredRoles: orNone(setting.required_roles),
      cost: setting.cost === 0 ? undefined : setting.cost,
      auditClass: toAuditClass(setting.audit_class),
    })),
    dataClass:
      message.data_class === "DATA_CLASS_UNSPECIFIED"
        ? "INTERNAL"
        : dataClassNames[message.data_class],
    allowPrivateNetwork: message.allow_private_network ?? defaults.allowPrivateNetwork,
    auth: toAuth(message.auth, isSamePlace(before, transport) ? stored?.auth : undefined),
  };
}

function toAuditClass(text: string): "A+" | "A" | undefined {
  if (text === "") return undefined;
  if (text === "A+" || text === "A") return text;
  const allowed = 'must be "A+", "A" or empty';
  throw new GatewayError("invalid-params", `server.tool_settings.audit_class: ${allowed}`);
}

export function fromServer(stored: StoredResource): Server {
  const server = serverShape(stored.body, "server");
  return {
    name: server.name,
    tenant: server.tenant ?? "",
    description: server.description,
    ...fromTransport(server.transport),
    era: keyFor(eras, server.era),
    enabled: server.enabled,
    connect_timeout_ms: server.connectTimeoutMs,
    call_timeout_ms: server.callTimeoutMs,
    response_bytes_max: server.responseBytesMax,
    max_in_flight: server.maxInFlight,
    list_ttl_ms: server.listTtlMs,
    lists_public: server.listsPublic,
    tool_settings: server.toolSettings.map((setting) => ({
      tool: setting.tool,
      read_only: setting.readOnly,
      cache_ttl_ms: setting.cacheTtlMs,
      cache_public: setting.cachePublic,
      risk_tier:
        setting.riskTier === undefined
          ? "RISK_TIER_UNSPECIFIED"
          : keyFor(riskTierNames, setting.riskTier),
      required_roles: setting.requiredRoles ?? [],
      cost: setting.cost ?? 0,
      audit_class: setting.auditClass ?? "",
    })),
    data_class: keyFor(dataClassNames, server.dataClass),
    allow_private_network: server.allowPrivateNetwork,
    auth: fromAuth(server.auth),
    metadata: toMetadata(stored),
  };
}

export function toVirtualServerResource(message: VirtualServer): VirtualServerResource {
  return {
    name: message.name,
    tenant: orUndefined(message.tenant),
    description: message.description,
    enabled: message.enabled ?? true,
    tools: message.tools.map(toBundled),
    prompts: message.prompts.map(toBundled),
    resources: message.resources.map(({ server, uri_pattern }) => ({
      server,
      uriPattern: uri_pattern,
    })),
  };
}

export function fromVirtualServer(stored: StoredResource): VirtualServer {
  const virtual = virtualServerShape(stored.body, "virtual-server");
  return {
    name: virtual.name,
    tenant: virtual.tenant ?? "",
    description: virtual.description,
    enabled: virtual.enabled,
    tools: virtual.tools.map(fromBundled),
    prompts: virtual.prompts.map(fromBundled),
    resources: virtual.resources.map(({ server, uriPattern }) => ({
      server,
      uri_pattern: uriPattern,
    })),
    metadata: toMetadata(stored),
  };
}

export function fromStatus(status: ServerStatus): StatusMessage {
  return {
    name: status.name,
    state: keyFor(states, status.state),
    era: status.era ?? "",
    revision: status.revision ?? "",
    last_error: status.lastError ?? "",
    consecutive_failures: status.consecutiveFailures,
    in_flight: status.inFlight,
    restarts: status.restarts,
  };
}

function toTransport(message: Server, before: ServerTransport | undefined): ServerTransport {
  const { stdio, remote } = message;
  if (stdio) {
    const secrets =
      before?.kind === "stdio" && before.command === stdio.command ? before.environment : {};
    return {
      kind: "stdio",
      command: stdio.command,
      args: stdio.args,
      environment: keepSecrets(stdio.environment, secrets, "server.stdio.environment"),
      workingDirectory: orUndefined(stdio.working_directory),
    };
  }
  if (!remote) throw new GatewayError("invalid-params", "server: set either stdio or remote");
  if (remote.kind === "REMOTE_KIND_UNSPECIFIED") {
    const allowed = Object.keys(remoteKinds).join(", ");
    throw new GatewayError("invalid-params", `server.remote.kind: must be one of ${allowed}`);
  }
  const transport = { kind: remoteKinds[remote.kind], url: remote.url, headers: {} };
  const secrets = isSamePlace(before, transport) ? before.headers : {};
  return {
    ...transport,
    headers: keepSecrets(remote.headers, secrets, "server.remote.headers"),
  };
}

type RemoteTransport = Exclude<ServerTransport, { kind: "stdio" }>;

/** Secrets belong to the address they were given for: a new address does not inherit them. */
function isSamePlace(
  before: ServerTransport | undefined,
  now: ServerTransport,
): before is RemoteTransport {
  if (before === undefined || before.kind === "stdio" || now.kind === "stdio") return false;
  return sameOrigin(before.url, now.url);
}

function fromTransport(transport: ServerTransport): Pick<Server, "stdio" | "remote"> {
  if (transport.kind === "stdio") {
    const { command, args, environment, workingDirectory } = transport;
    return {
      stdio: {
        command,
        args,
        environment: hideValues(environment),
        working_directory: workingDirectory ?? "",
      },
    };
  }
  const { kind, url, headers } = transport;
  return { remote: { kind: keyFor(remoteKinds, kind), url, headers: hideValues(headers) } };
}

function hideValues(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(record).map((name) => [name, redacted]));
}

function keepSecrets(
  given: Readonly<Record<string, string>>,
  stored: Readonly<Record<string, string>>,
  field: string,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      if (value !== redacted) return [name, value];
      const kept = Object.hasOwn(stored, name) ? stored[name] : undefined;
      if (kept === undefined) {
        throw new GatewayError(
          "invalid-params",
          `${field}: "${redacted}" keeps a stored value, and there is none`,
        );
      }
      return [name, kept];
    }),
  );
}

function sameOrigin(a: string, b: string): boolean {
  return URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin;
}

function toBundled(message: BundledName): VirtualServerResource["tools"][number] {
  const { server, name, exposed_name } = message;
  return { server, name, exposedName: orUndefined(exposed_name) };
}

function fromBundled(bundled: VirtualServerResource["tools"][number]): BundledName {
  const { server, name, exposedName } = bundled;
  return { server, name, exposed_name: exposedName ?? "" };
}
