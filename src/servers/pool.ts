/**
 * All registered servers: one client and one catalogue each, connected at first use. `apply` makes the set match a new
 * snapshot: servers whose spec did not change keep their connections, the others finish what they had begun.
 */
import { isDeepStrictEqual } from "node:util";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { allFeatures, noFeatures } from "../protocol/client-features.ts";
import type { McpNotification } from "../protocol/messages.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createBinding } from "./bindings/open-wire.ts";
import { createCaller } from "./call-server.ts";
import { type Catalogues, createCatalogues } from "./catalogues.ts";
import type { ServerChange, ServerStatus, Servers } from "./client.ts";
import { createConnection } from "./connection.ts";
import { createHeldTasks } from "./legacy/held-tasks.ts";
import { createParkedCalls, createParkedRoom, type ParkedRoom } from "./legacy/parked-calls.ts";
import { answerHomeless, answerUnasked } from "./legacy/questions.ts";
import { createSessionPool } from "./legacy/session-pool.ts";
import { defaultServersLimits, type ServersLimits } from "./limits.ts";
import { createChanges } from "./listening/changes.ts";
import { createServerClient, type PooledClient } from "./server-client.ts";
import type { ServerSpec } from "./spec.ts";

export interface ServersOptions {
  readonly specs?: ReadonlyMap<string, ServerSpec>;
  /** What child processes may inherit from; only the minimal names are taken. */
  readonly inheritedEnvironment: Readonly<Record<string, string | undefined>>;
  readonly gatewayVersion: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: Partial<ServersLimits>;
  /** Hears of every change a server tells, or that may have been missed, whether anybody listens or not. */
  readonly onChange?: (server: string, change: ServerChange) => void;
}

interface Entry {
  readonly spec: ServerSpec;
  readonly client: PooledClient;
  readonly catalogues: Catalogues;
}

export function createServers(options: ServersOptions): Servers {
  const limits = { ...defaultServersLimits, ...options.limits };
  const rooms = createRooms(limits);
  const entries = new Map<string, Entry>();
  const disabled = new Set<string>();
  const retiring = new Set<Promise<void>>();
  let isClosed = false;

  function retire(entry: Entry): void {
    const ending = entry.client.retire(limits.drainTimeoutMs).catch((error: unknown) => {
      options.log.warn("upstream.close-failed", { server: entry.spec.name, error: String(error) });
    });
    retiring.add(ending);
    void ending.finally(() => retiring.delete(ending));
  }

  function apply(specs: ReadonlyMap<string, ServerSpec>): void {
    if (isClosed) return;
    disabled.clear();
    for (const [name, entry] of entries) {
      const next = specs.get(name);
      if (next?.enabled && isDeepStrictEqual(next, entry.spec)) continue;
      entries.delete(name);
      retire(entry);
    }
    for (const [name, spec] of specs) {
      if (!spec.enabled) disabled.add(name);
      else if (!entries.has(name)) entries.set(name, createEntry(spec, options, limits, rooms));
    }
  }

  if (options.specs !== undefined) apply(options.specs);
  options.metrics.gauge("mcp_gateway_upstream_ready", () =>
    [...entries].map(([server, { client }]) => ({
      labels: { server },
      value: client.status().state === "ready" ? 1 : 0,
    })),
  );
  options.metrics.gauge("mcp_gateway_parked_calls", () =>
    [...entries].map(([server, { client }]) => ({
      labels: { server },
      value: client.parkedCalls(),
    })),
  );

  const catalogueOf = (name: string, declared = "{}") => entries.get(name)?.catalogues.of(declared);

  return {
    get: (name) => entries.get(name)?.client,
    async tools(name, asked) {
      const catalogue = catalogueOf(name, asked.clientCapabilitiesText);
      if (catalogue === undefined) throw new GatewayError("scope-unknown", "Not found");
      return catalogue.tools(asked);
    },
    paramHeaders: (name, tool, declared) => catalogueOf(name, declared)?.paramHeaders(tool) ?? [],
    knowsTool: (name, tool, declared) => catalogueOf(name, declared)?.knowsTool(tool),
    inputSchema: (name, tool, declared) => catalogueOf(name, declared)?.inputSchema(tool),
    status(name) {
      const entry = entries.get(name);
      if (entry !== undefined) return entry.client.status();
      return disabled.has(name) ? disabledStatus(name) : undefined;
    },
    apply,
    async close() {
      isClosed = true;
      const closing = [...entries.values()].map(({ client }) => client.close());
      entries.clear();
      await Promise.allSettled([...closing, ...retiring]);
    },
  };
}

/** Room for what waits for agents, over all servers. */
interface Rooms {
  readonly calls: ParkedRoom;
  readonly tasks: ParkedRoom;
}

function createRooms(limits: ServersLimits): Rooms {
  const calls = createParkedRoom({
    callsMax: limits.parkedMax,
    callsPerPrincipalMax: limits.parkedPerPrincipalMax,
  });
  const tasks = createParkedRoom({
    callsMax: limits.tasksMax,
    callsPerPrincipalMax: limits.tasksPerPrincipalMax,
    refusal: { message: "Too many tasks already; this one was not begun", reason: "tasks-full" },
  });
  return { calls, tasks };
}

function createEntry(
  spec: ServerSpec,
  options: ServersOptions,
  limits: ServersLimits,
  rooms: Rooms,
): Entry {
  const { clock, log, metrics } = options;
  const ownInfoText = JSON.stringify({ name: "mcp-gateway", version: options.gatewayVersion });
  const binding = createBinding({
    spec,
    inheritedEnvironment: options.inheritedEnvironment,
    scanLimits: limits.scan,
    stderrLineBytesMax: limits.stderrLineBytesMax,
    queuedBytesMax: limits.queuedBytesMax,
    stopStepMs: limits.stopStepMs,
    log,
    countStray: () =>
      metrics.count("mcp_gateway_upstream_errors_total", { server: spec.name, error: "stray" }),
  });
  const reconnect = { firstMs: limits.reconnectFirstMs, maxMs: limits.reconnectMaxMs };
  const isProcess = spec.transport.kind === "stdio";
  const shared = {
    openWire: binding.open,
    ownInfoText,
    clock,
    log,
    legacyVerdictTtlMs: limits.legacyVerdictTtlMs,
    reconnect,
    onReopened() {
      catalogues.invalidate();
      changes.reopened();
      if (!isProcess) return;
      metrics.count("mcp_gateway_upstream_restarts_total", { server: spec.name });
    },
  };
  const takeNotification = (notification: McpNotification) => {
    if (notification.method === "notifications/tools/list_changed") catalogues.invalidate();
    if (notification.method === "notifications/tasks/status") tasks.statusTold(notification);
    else changes.take(notification);
  };
  const sessions = createSessionPool({
    server: spec.name,
    clock,
    sessionsMax: isProcess ? limits.processesMax : limits.sessionsMax,
    allSessionsMax: isProcess ? limits.processesMax : limits.allSessionsMax,
    closesIdle: !isProcess,
    connect: (clientCapabilitiesText, onRequest, onNotification) =>
      createConnection({
        ...shared,
        spec: { ...spec, era: "legacy" },
        clientCapabilitiesText,
        onRequest,
        onNotification(notification, wire) {
          onNotification(notification, wire);
          takeNotification(notification);
        },
        onLinkChanged() {},
      }),
    onGap() {
      catalogues.invalidate();
      changes.reopened();
    },
  });
  const parked = createParkedCalls({
    server: spec.name,
    room: rooms.calls,
    parkedMs: limits.parkedMs,
  });
  const tasks = createHeldTasks({
    server: spec.name,
    room: rooms.tasks,
    isWanted: (taskId) => changes.wantsTask(taskId),
    onChange: (notification) => changes.take(notification),
  });
  const mainConnection = {
    ...shared,
    spec,
    onLinkChanged: () => changes.linkChanged(),
  };
  const connection = isProcess
    ? sessions.adopt(allFeatures, (clientCapabilitiesText, onRequest, onNotification) =>
        createConnection({
          ...mainConnection,
          clientCapabilitiesText,
          onRequest,
          onNotification(notification, wire) {
            onNotification(notification, wire);
            takeNotification(notification);
          },
        }),
      )
    : createConnection({
        ...mainConnection,
        clientCapabilitiesText: "{}",
        onNotification: takeNotification,
        onRequest({ request, respond }) {
          respond(answerUnasked(request, noFeatures) ?? answerHomeless(request));
        },
      });
  const callServer = createCaller({
    spec,
    connection,
    sessions,
    parked,
    tasks,
    questionWindowMs: limits.questionWindowMs,
    ownInfoText,
    clock,
    tools: {
      needsTask: (name, declared) => catalogues.needsTask(name, declared),
      paramHeaders: (name) => catalogues.of("{}").paramHeaders(name),
      refresh: async (signal) => void (await catalogues.of("{}").tools({ refresh: true, signal })),
    },
  });
  const changes = createChanges({
    spec,
    connection,
    ownInfoText,
    reconnect,
    clock,
    log,
    onChange(change) {
      if (change.kind === "tools") catalogues.invalidate();
      options.onChange?.(spec.name, change);
    },
  });
  const { closePool } = binding;
  const client = createServerClient({
    spec,
    connection,
    changes,
    sessions,
    parked,
    tasks,
    callServer,
    closePool,
    clock,
    metrics,
  });
  const catalogues = createCatalogues(
    {
      client,
      clock,
      ttlMsMin: limits.catalogueTtlMsMin,
      pagesMax: limits.cataloguePagesMax,
      toolsMax: limits.catalogueToolsMax,
    },
    () => !isProcess && connection.current()?.facts.era === "legacy",
  );
  return { spec, client, catalogues };
}

function disabledStatus(name: string): ServerStatus {
  return {
    name,
    state: "disabled",
    era: undefined,
    revision: undefined,
    lastError: undefined,
    consecutiveFailures: 0,
    inFlight: 0,
    restarts: 0,
  };
}
