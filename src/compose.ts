/**
 * Builds and connects everything once; decides nothing. Opens what must outlast calls first (store, log, state),
 * then the pipeline, then the listeners; closes in reverse. The admin plane is loaded last and lazily.
 */

import { type AgentsListener, createAgentsListener } from "./agents/listener.ts";
import { type OpenAuditLog, openAuditLog } from "./audit/log.ts";
import { createRejections } from "./audit/rejections.ts";
import { createReplyCache, type ReplyCache } from "./cache/reply-cache.ts";
import type { AdminPlane } from "./compose-admin.ts";
import { toAgentsOptions, toIssuers, toLimitDefaults } from "./compose-options.ts";
import type { Config } from "./config/config.ts";
import { createAuthenticator } from "./identity/authenticator.ts";
import { createTokenHasher, type TokenHasher } from "./identity/client-token.ts";
import { createJwtVerifier } from "./identity/jwt.ts";
import { buildResourceMetadata } from "./identity/resource-metadata.ts";
import { loadTokenKey } from "./identity/token-key.ts";
import { type Clock, systemClock } from "./lib/clock.ts";
import { version } from "./lib/version.ts";
import { createConcurrency } from "./limits/concurrency.ts";
import { createLimiter } from "./limits/limiter.ts";
import { createSourceLimit } from "./limits/source-limit.ts";
import { createDispatch } from "./pipeline/dispatch.ts";
import { createResourceOwners } from "./pipeline/resource-owners.ts";
import { compilePolicy } from "./policy/compile.ts";
import { createRetention, type Retention } from "./retention/run.ts";
import { createRedactor } from "./sanitize/redact.ts";
import type { Servers } from "./servers/client.ts";
import { checkedUrl } from "./servers/egress.ts";
import { createServers } from "./servers/pool.ts";
import { buildSnapshot } from "./state/build.ts";
import { createCurrentSnapshot, followStore, type SwappableSnapshot } from "./state/current.ts";
import { openStore } from "./storage/open-store.ts";
import type { Store } from "./storage/store.ts";
import { createHealth, type Health } from "./telemetry/health.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { createOpsServer } from "./telemetry/ops-server.ts";

export interface Gateway {
  /** Real addresses: `http://host:port` for agents and ops, `host:port` for the admin plane. */
  readonly addresses: { readonly agents: string; readonly admin: string; readonly ops: string };
  /** Where the bootstrap administrator's token lies. */
  readonly adminTokenFile: string;
  /** Takes no new work and resolves when what runs has ended. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Everything that is made before the listeners; each listener takes what it needs. */
export interface Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly audit: OpenAuditLog;
  readonly current: SwappableSnapshot;
  readonly servers: Servers;
  readonly cache: ReplyCache;
  readonly retention: Retention;
  readonly tokenDigest: TokenHasher;
  readonly startedAtMs: number;
}

/** How long a start waits for a database that is not there yet. */
const databaseWaitMs = 15_000;
const rejectionPeriodMs = 60_000;
const rejectionKeysMax = 1_000;
const mergeTimeoutMs = 5_000;

export async function startGateway(config: Config): Promise<Gateway> {
  const parts = await createParts(config);
  const dispatch = createGatewayDispatch(parts);
  const listener = createListener(parts, dispatch);
  const health = createGatewayHealth(parts);
  let isDraining = false;
  let draining: Promise<void> | undefined;
  const graceMs = config.drain.timeoutSeconds * 1000;

  function drain(): Promise<void> {
    isDraining = true;
    health.startDraining();
    draining ??= listener.drain(graceMs);
    return draining;
  }

  const { startAdminPlane } = await import("./compose-admin.ts");
  const plane: AdminPlane = await startAdminPlane(parts, {
    sessions: listener.sessions,
    connections: listener.connections,
    inFlight: dispatch.inFlight,
    isDraining: () => isDraining,
    isReady: async () => (await health.report()).ready,
    drain: () => void drain(),
  });
  const ops = createOpsServer({ ...config.ops, health, metrics: parts.metrics, version });
  const agents = await listener.start();
  parts.retention.start();
  addGauges(parts, dispatch.inFlight);
  const stopRejections = startRejections(parts, dispatch.rejections);
  await recordLifecycle(parts, "lifecycle.started");
  return {
    addresses: { agents: agents.url, admin: plane.address, ops: ops.url },
    adminTokenFile: plane.adminTokenFile,
    drain,
    async close() {
      await listener.stop();
      await plane.stop();
      await parts.retention.stop();
      stopRejections();
      await parts.servers.close();
      await recordLifecycle(parts, "lifecycle.stopped");
      await parts.audit.close();
      await parts.store.close();
      await ops.close();
    },
  };
}

async function createParts(config: Config): Promise<Parts> {
  const clock = systemClock;
  const log = createLog(config.log.level, clock);
  for (const warning of config.warnings) log.warn("config.warning", { warning });
  const metrics = createMetrics();
  const store = await openStore({
    ...(config.database.url === undefined ? {} : { databaseUrl: config.database.url.reveal() }),
    dataDir: config.dataDir,
    log,
    deadlineMs: config.database.deadlineMs,
    migrate: true,
    waitMs: databaseWaitMs,
  });
  const audit = await openAuditLog({
    dataDir: config.dataDir,
    store,
    clock,
    log,
    metrics,
    options: {
      segmentBytesMax: config.audit.segmentBytesMax,
      spoolBytesMax: config.audit.spoolBytesMax,
      deadlineMs: config.audit.deadlineMs,
      keepShippedMs: config.audit.keepShippedHours * 3_600_000,
    },
  });
  const tokenDigest = createTokenHasher(await loadTokenKey(config.dataDir));
  const { stateRevision, resources } = await store.resources.load();
  const current = createCurrentSnapshot(buildSnapshot(stateRevision, resources, compilePolicy));
  const servers = createServers({
    specs: current.get().servers,
    inheritedEnvironment: config.stdioEnvironment,
    gatewayVersion: version,
    clock,
    log,
    metrics,
    limits: { drainTimeoutMs: config.drain.timeoutSeconds * 1000 },
  });
  current.subscribe((next) => servers.apply(next.servers));
  followStore({ store: store.resources, current, compile: compilePolicy, log });
  const cache = createReplyCache({
    bytesMax: config.cache.enabled ? config.cache.bytesMax : 1,
    entriesMax: config.cache.entriesMax,
    ttlMsMax: config.cache.ttlSecondsMax * 1000,
    clock,
    metrics,
  });
  const retention = createRetention({
    store,
    audit,
    rules: () => current.get().retentionRules,
    clock,
    log,
    metrics,
    options: { intervalMs: config.retention.intervalMinutes * 60_000, batchMax: 500 },
  });
  const startedAtMs = clock.nowMs();
  return {
    config,
    clock,
    log,
    metrics,
    store,
    audit,
    current,
    servers,
    cache,
    retention,
    tokenDigest,
    startedAtMs,
  };
}

function createGatewayDispatch(parts: Parts) {
  const { config, clock, log, metrics, audit, current, servers, cache } = parts;
  const { limits, identity } = config;
  const defaults = toLimitDefaults(config);
  const issuers = toIssuers(identity.jwt.issuers);
  const jwt =
    issuers.length === 0
      ? undefined
      : createJwtVerifier({
          issuers,
          allowUrl: (url) => mayFetch(url, config.servers.allowPrivateNetwork),
          jwksFreshMs: 60_000,
          clock,
        });
  const rejections = createRejections({ audit, keysMax: rejectionKeysMax });
  const dispatch = createDispatch({
    audit,
    classBOnFailure: config.audit.classBOnFailure,
    rejections,
    clock,
    log,
    metrics,
    current,
    servers,
    cache,
    redact: createRedactor({
      isEnabled: config.sanitize.enabled,
      extraFields: config.sanitize.extraFields,
      excludedFields: config.sanitize.excludedFields,
    }),
    sourceLimit: createSourceLimit({
      requestsPerMinute: limits.sourceRequestsPerMinute,
      burst: limits.sourceRequestsPerMinute,
      failuresFree: limits.failedAuthPerMinute,
      clock,
      metrics,
    }),
    authenticator: createAuthenticator({
      hashToken: parts.tokenDigest,
      jwt,
      allowAnonymous: identity.anonymous,
      clock,
      metrics,
    }),
    limiter: createLimiter({ defaults, clock, metrics }),
    concurrency: createConcurrency({
      perClientMax: limits.maxInFlight,
      totalMax: config.agents.inFlightMax,
      metrics,
    }),
    defaults,
    owners: createResourceOwners({ servers, clock, ttlMs: config.cache.listTtlSeconds * 1000 }),
    gateway: { name: "mcp-gateway", version },
    mergeTimeoutMs,
    callTimeoutMs: config.call.timeoutSeconds * 1000,
  });
  return { ...dispatch, rejections };
}

/** Keys are fetched only from where servers may be. */
function mayFetch(url: string, allowPrivateNetwork: boolean): boolean {
  try {
    checkedUrl(url, "http", allowPrivateNetwork);
    return true;
  } catch {
    return false;
  }
}

function createListener(
  parts: Parts,
  dispatch: ReturnType<typeof createGatewayDispatch>,
): AgentsListener {
  const { config, log, metrics, clock, current } = parts;
  const issuers = config.identity.jwt.issuers.map((issuer) => issuer.issuer);
  return createAgentsListener({
    options: toAgentsOptions(config),
    dispatch,
    log,
    metrics,
    clock,
    snapshotChanges: (changed) => current.subscribe(() => changed()),
    resourceMetadata: (resource) => buildResourceMetadata({ resource, issuers }),
    version,
  });
}

function createGatewayHealth({ clock, store, audit }: Parts): Health {
  return createHealth({
    clock,
    checks: [
      {
        name: "audit",
        required: true,
        run: async () => {
          const { writable, syncedSeq, shippedSeq } = audit.status();
          if (!writable) throw new Error("the spool takes no records");
          return `${syncedSeq - shippedSeq} records not yet in the database`;
        },
      },
      // Not required: calls go on from the spool while the database is away.
      {
        name: "database",
        required: false,
        run: async () => {
          await store.ping();
          return store.description.kind;
        },
      },
    ],
  });
}

function startRejections(
  { clock }: Parts,
  rejections: ReturnType<typeof createRejections>,
): () => void {
  const timer = setInterval(() => rejections.flush(clock.nowMs()), rejectionPeriodMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    rejections.flush(clock.nowMs());
  };
}

function addGauges({ metrics, cache, current }: Parts, inFlight: () => number): void {
  metrics.gauge("mcp_gateway_in_flight", inFlight);
  metrics.gauge("mcp_gateway_cache_bytes", () => cache.statistics().bytes);
  metrics.gauge("mcp_gateway_cache_entries", () => cache.statistics().entries);
  metrics.gauge("mcp_gateway_state_revision", () => current.get().stateRevision);
}

async function recordLifecycle(
  { audit, clock, current }: Parts,
  event: "lifecycle.started" | "lifecycle.stopped",
): Promise<void> {
  const facts = { version, stateRevision: current.get().stateRevision };
  await audit.append({ event, class: "A", timeMs: clock.nowMs(), facts, details: {} }, "synced");
}
