/**
 * What is measured: the upstream itself, the bare relay, or the gateway, each with the addresses and credentials for
 * the three ways of calling it, and the process whose cost counts.
 */
import { createAdminClient } from "../support/admin-client.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { loadCore, measuredCore, type Peer, pinned, startPeer } from "./child.ts";

export interface Target {
  readonly name: "straight" | "relay" | "gateway";
  readonly pid: number;
  readonly legacyUrl: string;
  readonly modernUrl: string;
  readonly socketUrl: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** More than any run reaches, so that limits are kept and counted but never met. */
const plenty = 1_000_000_000;
const connectionsMax = 100_000;
const patientMs = 60_000;

/** Everything on, with the bounds that a single busy caller would meet set out of its way. */
const config = {
  agents: {
    connections_max: connectionsMax,
    connections_per_peer_max: connectionsMax,
    sessions_max: connectionsMax,
    sessions_per_principal_max: connectionsMax,
    idle_timeout_seconds: 3_600,
    listens_max: connectionsMax,
    listens_per_principal_max: connectionsMax,
  },
  servers: { parked_calls_max: connectionsMax, parked_calls_per_principal_max: connectionsMax },
  limits: { source_requests_per_minute: plenty },
  log: { level: "warn" },
  // A disk that stands still for a while is slow, which is what is measured, and no failure.
  audit: { deadline_ms: patientMs },
  database: { deadline_ms: patientMs },
};

/** Nobody said of its tools that they only read: their calls are recorded in class A. */
export const unvouchedServer = "unvouched";

export async function startUpstream(): Promise<Peer> {
  return startPeer("upstream.ts", loadCore);
}

export function straightTarget(upstream: Peer): Target {
  return { name: "straight", pid: upstream.pid, headers: {}, ...plainUrls(upstream.port) };
}

export async function startRelay(upstream: Peer): Promise<Peer & { readonly target: Target }> {
  const relay = await startPeer("relay.ts", measuredCore, [String(upstream.port)]);
  const target: Target = { name: "relay", pid: relay.pid, headers: {}, ...plainUrls(relay.port) };
  return { ...relay, target };
}

/** The executable with a client, its role, a deny rule and three servers, set up by gRPC like any operator does. */
export async function startBenchGateway(
  upstream: Peer,
  more: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly gateway: GatewayProcess; readonly target: Target }> {
  const gateway = await startGateway({
    config: { ...config, ...more },
    prefix: pinned(measuredCore, []),
  });
  try {
    const token = await setUp(gateway, upstream.port);
    const socketBase = gateway.agents.replace("http:", "ws:");
    const target: Target = {
      name: "gateway",
      pid: gateway.pid,
      legacyUrl: `${gateway.agents}/legacy/mcp`,
      modernUrl: `${gateway.agents}/modern/mcp`,
      socketUrl: `${socketBase}/socket/ws`,
      headers: { authorization: `Bearer ${token}` },
    };
    return { gateway, target };
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
}

async function setUp(gateway: GatewayProcess, upstreamPort: number): Promise<string> {
  using admin = createAdminClient(gateway);
  const servers = [
    ["legacy", "SERVER_ERA_LEGACY", "REMOTE_KIND_STREAMABLE_HTTP", "http", "/mcp", true],
    ["modern", "SERVER_ERA_MODERN", "REMOTE_KIND_STREAMABLE_HTTP", "http", "/mcp", true],
    ["socket", "SERVER_ERA_LEGACY", "REMOTE_KIND_WEBSOCKET", "ws", "/ws", true],
    [unvouchedServer, "SERVER_ERA_MODERN", "REMOTE_KIND_STREAMABLE_HTTP", "http", "/mcp", false],
  ] as const;
  for (const [name, era, kind, scheme, path, isVouchedFor] of servers) {
    const url = `${scheme}://127.0.0.1:${upstreamPort}${path}`;
    const server = {
      name,
      era,
      enabled: true,
      remote: { kind, url },
      allow_private_network: true,
      max_in_flight: 4_096,
      // What a careful operator says of a tool that changes nothing: its calls are recorded in class B.
      tool_settings: isVouchedFor ? [{ tool: "echo", read_only: true }] : [],
    };
    await admin.call("ServerService", "RegisterServer", { server });
  }
  const permissions = servers.map(([name]) => ({
    resource: `mcp:${name}:*`,
    actions: ["POLICY_ACTION_ANY"],
  }));
  await admin.call("PolicyService", "CreateRole", { role: { name: "caller", permissions } });
  const condition = { target_pattern: "(delete|drop|remove).*", ignore_case: true };
  await admin.call("PolicyService", "CreateRule", {
    rule: {
      name: "no-deletions",
      effect: "RULE_EFFECT_DENY",
      priority: 10,
      enabled: true,
      condition,
    },
  });
  const limits = {
    requests_per_minute: plenty,
    burst: plenty,
    tool_requests_per_minute: plenty,
    tool_burst: plenty,
    max_in_flight: connectionsMax,
  };
  const client = { id: "bench", enabled: true, roles: ["caller"], limits };
  const { token } = await admin.call<{ readonly token: string }>(
    "ClientService",
    "RegisterClient",
    { client: { ...client, allowed_tools: servers.map(([name]) => `${name}__*`) } },
  );
  return token;
}

function plainUrls(port: number) {
  const base = `http://127.0.0.1:${port}`;
  return {
    legacyUrl: `${base}/mcp`,
    modernUrl: `${base}/mcp`,
    socketUrl: `ws://127.0.0.1:${port}/ws`,
  };
}
