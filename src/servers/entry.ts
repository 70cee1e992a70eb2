/**
 * One registered server with everything it consists of: connection, sessions, what waits, what listens, its catalogue
 * and its credentials, connected to each other. `pool.ts` makes one for each server; decides nothing.
 */
import type { Clock } from "../lib/clock.ts";
import { allFeatures, noFeatures } from "../protocol/client-features.ts";
import type { McpNotification } from "../protocol/messages.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createBinding } from "./bindings/open-wire.ts";
import { createCaller } from "./call-server.ts";
import { type Catalogues, createCatalogues } from "./catalogues.ts";
import type { ServerChange } from "./client.ts";
import { createConnection } from "./connection.ts";
import { type ConsentingServer, createConsentingServer } from "./credentials/consenting.ts";
import type { Credentials } from "./credentials/credentials.ts";
import type { Grants } from "./credentials/grants.ts";
import { createPerUserClient } from "./credentials/per-user.ts";
import { createTokenSource } from "./credentials/token-source.ts";
import { createUserAuthorization } from "./credentials/user-authorization.ts";
import { createEgressFetch } from "./egress-fetch.ts";
import { createHeldTasks } from "./legacy/held-tasks.ts";
import { createParkedCalls, createParkedRoom, type ParkedRoom } from "./legacy/parked-calls.ts";
import { answerHomeless, answerUnasked } from "./legacy/questions.ts";
import { createSessionPool } from "./legacy/session-pool.ts";
import type { ServersLimits } from "./limits.ts";
import { createChanges } from "./listening/changes.ts";
import { createServerClient, type PooledClient } from "./server-client.ts";
import type { ServerSpec } from "./spec.ts";
import type { AccessLinks, UserAuthorization } from "./user-access.ts";

export interface Entry {
  readonly spec: ServerSpec;
  readonly client: PooledClient;
  /** Shared by all callers; undefined for a server that each user allows the gateway to reach. */
  readonly catalogues: Catalogues | undefined;
  readonly consenting?: ConsentingServer;
  readonly authorization?: UserAuthorization;
}

/** With one credential for all who call. */
interface SingleEntry extends Entry {
  readonly catalogues: Catalogues;
}

/** Grants of users, and the page where they are given. */
export interface UserAccess {
  readonly grants: Grants;
  readonly links: AccessLinks;
}

/** What every entry is made with. */
export interface EntryDeps {
  /** What child processes may inherit from; only the minimal names are taken. */
  readonly inheritedEnvironment: Readonly<Record<string, string | undefined>>;
  readonly gatewayVersion: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Without it no server is reached in a user's own name. */
  readonly access?: UserAccess;
  /** Hears of every change a server tells, or that may have been missed, whether anybody listens or not. */
  readonly onChange?: (server: string, change: ServerChange) => void;
}

/** Room for what waits for agents, over all servers. */
export interface Rooms {
  readonly calls: ParkedRoom;
  readonly tasks: ParkedRoom;
}

export function createRooms(limits: ServersLimits): Rooms {
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

/** A server's entry; where it wants a token of each user, with a client for each of them. */
export function createEntry(
  spec: ServerSpec,
  deps: EntryDeps,
  limits: ServersLimits,
  rooms: Rooms,
): Entry {
  const client = spec.auth?.oauth;
  if (client === undefined || spec.transport.kind === "stdio") {
    return createSingle(spec, deps, limits, rooms, undefined);
  }
  const { clock, log, access } = deps;
  const shared = {
    spec,
    // A WebSocket's metadata lie where its HTTP origin is.
    serverUrl: spec.transport.url.replace(/^ws/, "http"),
    client,
    fetch: createEgressFetch(spec.allowPrivateNetwork),
    clock,
  };
  if (client.grant === "authorization-code") {
    if (access === undefined) throw new Error(`server ${spec.name}: no grants are kept here`);
    const authority = createUserAuthorization({ ...shared, grants: access.grants });
    const consenting = createConsentingServer({
      ...{ spec, authority, clock, ...access },
      create: (credentials) => createSingle(spec, deps, limits, rooms, credentials),
      usersMax: limits.usersMax,
      drainTimeoutMs: limits.drainTimeoutMs,
    });
    const entry = { client: consenting.client, catalogues: undefined };
    return { spec, ...entry, consenting, authorization: authority };
  }
  const tokens = createTokenSource({ ...shared, log });
  const single = createSingle(spec, deps, limits, rooms, tokens.own());
  if (client.grant === "client-credentials") return single;
  const perUser = createPerUserClient({
    own: single.client,
    tokens,
    create: (credentials) => createSingle(spec, deps, limits, rooms, credentials).client,
    usersMax: limits.usersMax,
    drainTimeoutMs: limits.drainTimeoutMs,
  });
  return { ...single, client: perUser };
}

function createSingle(
  spec: ServerSpec,
  deps: EntryDeps,
  limits: ServersLimits,
  rooms: Rooms,
  credentials: Credentials | undefined,
): SingleEntry {
  const { clock, log, metrics } = deps;
  const ownInfoText = JSON.stringify({ name: "mcp-gateway", version: deps.gatewayVersion });
  const binding = createBinding({
    spec,
    credentials,
    inheritedEnvironment: deps.inheritedEnvironment,
    scanLimits: limits.scan,
    stderrLineBytesMax: limits.stderrLineBytesMax,
    queuedBytesMax: limits.queuedBytesMax,
    stopStepMs: limits.stopStepMs,
    beatMs: limits.beatMs,
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
      deps.onChange?.(spec.name, change);
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
