/**
 * Builds and connects everything once; decides nothing. Opens what must outlast calls first (store, log, state),
 * then the pipeline, then the listeners; closes in reverse. The admin plane is loaded lazily and started last.
 */
import type { RecordDraft } from "../audit/record.ts";
import type { createRejections } from "../audit/rejections.ts";
import type { Config } from "../config/config.ts";
import { startDevIssuerServer } from "../identity/dev-issuer-server.ts";
import { version } from "../lib/version.ts";
import { createHealth, type Health } from "../telemetry/health.ts";
import { createOpsServer } from "../telemetry/ops-server.ts";
import { createGatewayDispatch, createListener } from "./data-plane.ts";
import { createLimits } from "./limits.ts";
import { createParts, type Parts } from "./parts.ts";
import { answerWhileStarting } from "./starting.ts";
import { checkIssuers } from "./token-issuers.ts";
import { createWitnessService } from "./witness-service.ts";
import { checkWitnesses } from "./witnessing.ts";

export interface Gateway {
  /** Real addresses: `http://host:port` for agents and ops, `host:port` for the admin plane. */
  readonly addresses: { readonly agents: string; readonly admin: string; readonly ops: string };
  /** Where the bootstrap administrator's token lies. */
  readonly adminTokenFile: string;
  /** Resolves with the reason where it cannot go on: it refuses every call until it is started anew. */
  readonly failed: Promise<string>;
  /** Takes no new work and resolves when what runs has ended. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** How long refusals are counted before their aggregate is recorded. */
const rejectionPeriodMs = 60_000;
/** How often times of last use go to the database. */
const lastUsePeriodMs = 60_000;

export async function startGateway(config: Config): Promise<Gateway> {
  checkIssuers(config);
  checkWitnesses(config);
  const making = createParts(config);
  // Loaded while the threads start and the databases open.
  const loading = import("./admin-plane.ts");
  const parts = await answerWhileStarting(config, making);
  const limits = createLimits(parts);
  const dispatch = createGatewayDispatch(parts, limits);
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

  const { startAdminPlane } = await loading;
  const plane = await startAdminPlane(parts, {
    sessions: listener.sessions,
    connections: listener.connections,
    inFlight: dispatch.inFlight,
    isDraining: () => isDraining,
    penalties: limits.penalties,
    isReady: async () => (await health.report()).ready,
    drain: () => void drain(),
  });
  const ops = createOpsServer({
    ...config.ops,
    ...(await createWitnessService(parts)),
    health,
    metrics: parts.metrics,
    version,
  });
  const stopLimits = await limits.start();
  const agents = await listener.start();
  parts.retention.start();
  parts.keyWork.start();
  parts.freshness.start();
  addGauges(parts, dispatch.inFlight);
  const stopRejections = startRejections(parts, dispatch.rejections);
  const stopLastUse = startLastUse(parts);
  const stopDevIssuer = startDevIssuer(parts);
  return {
    addresses: { agents: agents.url, admin: plane.address, ops: ops.url },
    adminTokenFile: plane.adminTokenFile,
    failed: parts.audit.died.then((reason) => `the audit log's thread died: ${reason}`),
    drain,
    async close() {
      await listener.stop();
      await plane.stop();
      await parts.retention.stop();
      await parts.keyWork.stop();
      stopRejections();
      await stopLimits();
      parts.freshness.stop();
      parts.follower.stop();
      await stopDevIssuer();
      await stopLastUse();
      await parts.servers.close();
      await parts.audit.close(closingRecord(parts));
      await Promise.all([parts.sinks?.close(), parts.witness?.close()]);
      await parts.vault.close();
      await parts.store.close();
      await ops.close();
    },
  };
}

function createGatewayHealth({ clock, store, audit, witness }: Parts): Health {
  return createHealth({
    clock,
    checks: [
      {
        name: "audit",
        required: true,
        run: async () => {
          const { writable, syncedSeq, shippedSeq } = audit.status();
          if (!writable) throw new Error("the spool takes no records");
          if (audit.off) return "OFF: nothing is recorded";
          return `${syncedSeq - shippedSeq} records not yet in the database`;
        },
      },
      // Not required: refusing calls would undo nothing of what was done to the record.
      {
        name: "integrity",
        required: false,
        run: async () => {
          if (witness === undefined) return "off";
          const [violations, conflicts] = [witness.violations(), witness.conflicts()];
          if (violations > 0) throw new Error(`${violations} records of the log are wrong`);
          if (conflicts.length > 0) throw new Error(`${conflicts.join(", ")} remember otherwise`);
          return undefined;
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

function startLastUse({ lastUse }: Parts): () => Promise<void> {
  const timer = setInterval(() => void lastUse.flush(), lastUsePeriodMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    return lastUse.flush();
  };
}

function startDevIssuer({ devIssuer, config, log }: Parts): () => Promise<void> {
  if (devIssuer === undefined) return async () => {};
  const server = startDevIssuerServer(config.identity.devIssuer.port, devIssuer);
  log.warn("identity.dev-issuer", { url: server.url, warning: "tokens for the asking" });
  return server.close;
}

function addGauges({ metrics, cache, current }: Parts, inFlight: () => number): void {
  metrics.gauge("mcp_gateway_in_flight", inFlight);
  metrics.gauge("mcp_gateway_cache_bytes", () => cache.statistics().bytes);
  metrics.gauge("mcp_gateway_cache_entries", () => cache.statistics().entries);
  metrics.gauge("mcp_gateway_state_revision", () => current.get().stateRevision);
}

function closingRecord({ clock, current }: Parts): RecordDraft {
  const facts = { version, stateRevision: current.get().stateRevision };
  const own = { event: "lifecycle.stopped", class: "A", details: {} } as const;
  return { ...own, timeMs: clock.nowMs(), facts };
}
