/**
 * Connects the admin plane: the services with what other folders do for them, the operators, the gRPC server. Loaded
 * lazily by compose, because grpc-js costs start-up time and memory.
 */
import { readFileSync } from "node:fs";
import { changeState, type StateWriter } from "../admin/change-state.ts";
import { createDraftSchedule } from "../admin/draft-schedule.ts";
import { createOperators } from "../admin/operators.ts";
import { createPolicyHistory } from "../admin/policy-history.ts";
import { createAdminServer } from "../admin/server.ts";
import { createAuditService, type LogVerification } from "../admin/services/audit-service.ts";
import { createCacheService } from "../admin/services/cache-service.ts";
import { createClientService } from "../admin/services/client-service.ts";
import { createGrantService } from "../admin/services/grant-service.ts";
import { createKeyService } from "../admin/services/key-service.ts";
import { createLimitService } from "../admin/services/limit-service.ts";
import { createPolicyService } from "../admin/services/policy-service.ts";
import { createRetentionService } from "../admin/services/retention-service.ts";
import { createRevocationService } from "../admin/services/revocation-service.ts";
import { createServerService } from "../admin/services/server-service.ts";
import { createSystemService } from "../admin/services/system-service.ts";
import type { AgentsListener } from "../agents/listener.ts";
import { listLogs, type VerifyReport, verifyStore } from "../audit/verify/verify.ts";
import type { Config } from "../config/config.ts";
import { isStrict } from "../config/presets.ts";
import { GatewayError } from "../errors/fault.ts";
import { version } from "../lib/version.ts";
import type { PenaltyBox } from "../limits/penalty-box.ts";
import type { ServerStatus } from "../servers/client.ts";
import { checkTransport } from "../servers/egress.ts";
import { recordRevoked } from "./consents.ts";
import type { Parts } from "./parts.ts";
import { issuerNames } from "./token-issuers.ts";

export interface AdminPlane {
  /** `host:port` */
  readonly address: string;
  readonly adminTokenFile: string;
  stop(): Promise<void>;
}

export interface Runtime {
  readonly sessions: AgentsListener["sessions"];
  readonly connections: () => number;
  readonly inFlight: () => number;
  readonly isDraining: () => boolean;
  readonly penalties: PenaltyBox;
  readonly isReady: () => Promise<boolean>;
  readonly drain: () => void;
}

const stopGraceMs = 2_000;

export async function startAdminPlane(parts: Parts, runtime: Runtime): Promise<AdminPlane> {
  const { config, audit, log, metrics, clock } = parts;
  const operators = createOperators({
    dataDir: config.dataDir,
    operators: config.admin.operators,
    // Where one person runs it all, who sets it up reads its records too; under a strict preset these are two duties.
    bootstrapRoles: isStrict(config.preset) ? ["admin"] : ["admin", "auditor"],
  });
  const state = createStateWriter(parts);
  const { store, current } = parts;
  const { twoPerson } = config.policy;
  const schedule = createDraftSchedule({ state, current, store, audit, clock, log, twoPerson });
  const server = createAdminServer({
    host: config.admin.host,
    port: config.admin.port,
    tls: config.admin.tls === undefined ? undefined : readTls(config.admin.tls),
    limits: {
      messageBytesMax: config.admin.messageBytesMax,
      unaryTimeoutMs: config.admin.deadlineSeconds * 1000,
      requestTimeoutMs: config.admin.deadlineSeconds * 1000,
    },
    reflection: config.admin.reflection ? "operators" : "off",
    services: createServices(parts, runtime, state),
    authenticate: operators.authenticate,
    audit,
    log,
    metrics,
    clock,
  });
  const { address } = await server.start();
  schedule.start();
  return {
    address,
    adminTokenFile: operators.tokenPath,
    async stop() {
      schedule.stop();
      await server.stop(stopGraceMs);
    },
  };
}

/** Every change of what operators manage goes through here, with the history and the two-person rule. */
function createStateWriter({ config, store, current, compile, clock }: Parts): StateWriter {
  const { twoPerson, revisionsMax } = config.policy;
  const history = createPolicyHistory({ twoPerson, revisionsMax });
  return changeState({ store: store.resources, current, compile, clock, history });
}

function createServices(parts: Parts, runtime: Runtime, state: StateWriter) {
  const { clock, store, audit, current, servers, cache, config } = parts;
  return {
    ClientService: createClientService({
      state,
      clock,
      tokenDigest: parts.tokenDigest,
      tokenKeyId: parts.tokenKeyId,
      signingSecret: parts.signingSecret,
      lastUses: parts.lastUse.read,
      listSessions: () => listSessions(runtime),
      endSession: (id) => runtime.sessions.end(id),
    }),
    RevocationService: createRevocationService({ state, clock, issuers: issuerNames(config) }),
    GrantService: createGrantService({
      grants: parts.consents.grants,
      revokeUpstream: async ({ id, server }) =>
        (await servers
          .authorization(server)
          ?.revoke(id)
          .catch(() => false)) === true,
      recordRevoked: (grant) => recordRevoked(parts, grant, "operator"),
    }),
    ServerService: createServerService({
      state,
      defaults: {
        ...config.servers,
        listTtlMs: config.cache.listTtlSeconds * 1000,
      },
      checkTransport,
      listTools: (server, options) => servers.tools(server, options),
      checkServer: (server, signal) => checkServer(parts, server, signal),
      serverStatus: (server) => servers.status(server),
    }),
    PolicyService: createPolicyService({
      state,
      current,
      clock,
      audit,
      records: { store: store.audit, opener: parts.opener, tokens: parts.tokens },
      twoPerson: config.policy.twoPerson,
    }),
    RetentionService: createRetentionService({ state, ...retentionDeps(parts) }),
    AuditService: createAuditService({
      store: store.audit,
      opener: parts.opener,
      tokens: parts.tokens,
      log: audit,
      evidence: audit.evidence,
      clock,
      verifyLog: () => verifyLogs(parts),
    }),
    KeyService: createKeyService({
      erasure: parts.keyWork.erasure,
      rotation: parts.keyWork.rotation,
      rotateNodeKey: () => rotateNodeKey(parts),
      listKeys: parts.vault.store.sweeps.summary,
    }),
    LimitService: createLimitService({ penalties: runtime.penalties }),
    CacheService: createCacheService({
      cacheStatistics: () => {
        const { entriesMax, bytesMax } = config.cache;
        return { ...cache.statistics(), entriesMax, bytesMax };
      },
      purgeCache: ({ server, tool, principal, tenant }) =>
        cache.purge({ server, target: tool, principalId: principal, tenant }),
    }),
    SystemService: createSystemService({
      current,
      effectiveConfig: () => config,
      gatewayStatus: async () => ({
        version,
        startedAtMs: parts.startedAtMs,
        ready: await runtime.isReady(),
        draining: runtime.isDraining(),
        connections: runtime.connections(),
        sessions: runtime.sessions.list().length,
        inFlight: runtime.inFlight(),
        store: store.description.kind,
      }),
      auditStatus: () => audit.status(),
      drain: runtime.drain,
    }),
  };
}

async function rotateNodeKey({ audit }: Parts): Promise<{ readonly newKey: string }> {
  if (audit.evidence !== undefined) return await audit.evidence.rotateNodeKey();
  throw new GatewayError("state-conflict", "This node signs no log, so it has no node key.");
}

function listSessions(runtime: Runtime) {
  return runtime.sessions.list().map((session) => ({
    id: session.id,
    clientId: session.clientId,
    principal: session.principalId,
    tenant: session.tenant,
    binding: session.binding,
    scope: session.scope,
    openedAtMs: session.startedAtMs,
    lastUsedAtMs: session.usedAtMs,
  }));
}

/** Connects if needed; a server that cannot be reached is a status, not an error. */
async function checkServer(
  { servers }: Parts,
  name: string,
  signal: AbortSignal,
): Promise<ServerStatus> {
  const client = servers.get(name);
  const failed =
    client &&
    (await client.facts(signal).then(
      () => undefined,
      (cause: unknown) => cause,
    ));
  if (failed !== undefined && !(failed instanceof GatewayError)) throw failed;
  const status = servers.status(name);
  if (status === undefined) throw new GatewayError("resource-not-found", `no server named ${name}`);
  return status;
}

function retentionDeps({ retention, clock }: Parts) {
  const statistics = {
    lastRunAtMs: undefined as number | undefined,
    runs: 0,
    deleted: 0,
    failures: 0,
  };
  return {
    retentionStatistics: () => statistics,
    processRetention: async ({ validateOnly }: { readonly validateOnly: boolean }) => {
      const outcomes = await retention.process({ validateOnly, by: "operator" });
      if (!validateOnly) {
        statistics.runs += 1;
        statistics.lastRunAtMs = clock.nowMs();
        for (const outcome of outcomes) statistics.deleted += outcome.deleted;
      }
      return { outcomes };
    },
  };
}

/** Every log in the database: this node's, other nodes', and those that were given up (ST-16). */
async function verifyLogs({ store, audit }: Parts): Promise<readonly LogVerification[]> {
  const logIds = new Set([audit.status().logId, ...(await listLogs(store.audit))]);
  const verified: LogVerification[] = [];
  for (const logId of logIds) verified.push(toVerification(await verifyStore(store.audit, logId)));
  return verified;
}

function toVerification(report: VerifyReport): LogVerification {
  return {
    logId: report.logId,
    ok: report.ok,
    records: report.records,
    firstSeq: report.records === 0 ? 0 : report.lastSeq - report.records + 1,
    lastSeq: report.lastSeq,
    problem: report.violation?.message,
  };
}

function readTls(tls: NonNullable<Config["admin"]["tls"]>) {
  const { certificateFile, keyFile, clientCaFile } = tls;
  return {
    certificate: readFileSync(certificateFile),
    key: readFileSync(keyFile),
    clientCa: clientCaFile === undefined ? undefined : readFileSync(clientCaFile),
  };
}
