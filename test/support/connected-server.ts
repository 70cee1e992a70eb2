/**
 * One MCP server behind `ServerClient`, without a gateway around it: for tests of `src/servers` against real peers.
 */
import { systemClock } from "../../src/lib/clock.ts";
import { objectText, readObject } from "../../src/protocol/json-view.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../src/protocol/messages.ts";
import type { CallContext, ServerClient, Servers } from "../../src/servers/client.ts";
import type { UserAccess } from "../../src/servers/entry.ts";
import type { ServersLimits } from "../../src/servers/limits.ts";
import { createServers } from "../../src/servers/pool.ts";
import type { ServerSpec, ServerTransport } from "../../src/servers/spec.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

export interface ConnectedServer extends AsyncDisposable {
  readonly client: ServerClient;
  readonly servers: Servers;
}

export function connectServer(
  transport: ServerTransport,
  changes: Partial<ServerSpec> = {},
  limits: Partial<ServersLimits> = {},
  access?: UserAccess,
): ConnectedServer {
  const spec: ServerSpec = {
    name: "fake",
    description: "",
    transport,
    era: "auto",
    enabled: true,
    connectTimeoutMs: 10_000,
    callTimeoutMs: 10_000,
    responseBytesMax: 1_000_000,
    maxInFlight: 64,
    listTtlMs: 0,
    listsPublic: false,
    toolSettings: [],
    allowPrivateNetwork: true,
    dataClass: "INTERNAL",
    ...changes,
  };
  const servers = createServers({
    specs: new Map([["fake", spec]]),
    inheritedEnvironment: { PATH: "/usr/bin:/bin", HOME: "/tmp" },
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    limits,
    ...(access !== undefined && { access }),
  });
  const client = servers.get("fake");
  if (client === undefined) throw new Error("no client");
  return { client, servers, [Symbol.asyncDispose]: () => servers.close() };
}

export const everyCapability =
  '{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{}}';

export interface CallOptions extends Partial<CallContext> {
  /** Source text of what the agent declares; everything where left out. */
  readonly capabilities?: string;
  readonly progressToken?: string;
  /** Answers by question, and the state of the round before. */
  readonly inputResponses?: Readonly<Record<string, unknown>>;
  readonly requestState?: string;
  readonly relayed?: RelayedMessage[];
}

/** One `tools/call`, or the retry that brings answers. */
export function callTool(
  client: ServerClient,
  name: string,
  args: object,
  options: CallOptions = {},
): Promise<Outcome> {
  const { capabilities = everyCapability, progressToken, inputResponses, requestState } = options;
  const _meta = progressToken === undefined ? undefined : { progressToken };
  const params = { name, arguments: args, _meta, inputResponses, requestState };
  const request: McpRequest = {
    kind: "request",
    idText: '"agent-1"',
    method: "tools/call",
    params: readObject(JSON.stringify(params)),
    envelope: {
      revision: "2026-07-28",
      clientInfoText: undefined,
      clientCapabilitiesText: capabilities,
      logLevel: undefined,
      progressTokenText: progressToken === undefined ? undefined : JSON.stringify(progressToken),
    },
  };
  const context: CallContext = {
    signal: options.signal ?? new AbortController().signal,
    timeoutMs: options.timeoutMs ?? 10_000,
    headers: {},
    principalId: options.principalId ?? "alice",
    ...(options.subject && { subject: options.subject }),
    ...(options.caller && { caller: options.caller }),
  };
  return client.call(request, context, (message) => options.relayed?.push(message));
}

export interface Asked {
  readonly inputRequests: Readonly<
    Record<string, { readonly method: string; readonly params?: Record<string, unknown> }>
  >;
  readonly requestState: string;
}

/** The questions an outcome brings. Throws where it is none. */
export function needAsked(outcome: Outcome): Asked {
  if (outcome.kind !== "result") throw new Error(JSON.stringify(outcome));
  const result = JSON.parse(objectText(outcome.result));
  if (result.resultType !== "input_required") throw new Error(JSON.stringify(result));
  return result;
}

/** The text a tool ended with. Throws where it did not end. */
export function needText(outcome: Outcome): string {
  if (outcome.kind !== "result") throw new Error(JSON.stringify(outcome));
  const result = JSON.parse(objectText(outcome.result));
  if (result.content === undefined) throw new Error(JSON.stringify(result));
  return result.content[0].text;
}
