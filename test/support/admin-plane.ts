/**
 * A whole admin plane on a loopback port: the real server and services over an in-memory store, and a real grpc-js
 * client. No assertions.
 */

import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type { AdminServices } from "../../src/admin/caller.ts";
import { changeState, type StateWriter } from "../../src/admin/change-state.ts";
import { needService } from "../../src/admin/definition.ts";
import { createOperators, type OperatorEntry } from "../../src/admin/operators.ts";
import { functionName } from "../../src/admin/permissions.ts";
import { createPolicyHistory } from "../../src/admin/policy-history.ts";
import {
  type AdminServer,
  type AdminServerDeps,
  createAdminServer,
} from "../../src/admin/server.ts";
import { createAuditService } from "../../src/admin/services/audit-service.ts";
import { createCacheService, type PurgeFilter } from "../../src/admin/services/cache-service.ts";
import { createClientService, type SessionFacts } from "../../src/admin/services/client-service.ts";
import { createGrantService } from "../../src/admin/services/grant-service.ts";
import { createKeyService } from "../../src/admin/services/key-service.ts";
import { createLimitService } from "../../src/admin/services/limit-service.ts";
import { createPolicyService } from "../../src/admin/services/policy-service.ts";
import { createRetentionService } from "../../src/admin/services/retention-service.ts";
import { createRevocationService } from "../../src/admin/services/revocation-service.ts";
import { createServerService } from "../../src/admin/services/server-service.ts";
import { createSystemService } from "../../src/admin/services/system-service.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import type * as api from "../../src/gen/types.ts";
import { createSigningSecret } from "../../src/identity/proof/signing-key.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createPenaltyBox } from "../../src/limits/penalty-box.ts";
import { compilePolicy } from "../../src/policy/compile.ts";
import type { ErasureRequest } from "../../src/retention/erasure.ts";
import { checkTransport } from "../../src/servers/egress.ts";
import type { GrantSummary } from "../../src/servers/user-access.ts";
import { buildSnapshot } from "../../src/state/build.ts";
import { createCurrentSnapshot, type SwappableSnapshot } from "../../src/state/current.ts";
import type { AuditRow, Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import type { KeyGroup } from "../../src/vault/sweeps.ts";
import {
  createMemoryAuditScan,
  createMemoryResourceStore,
  type MemoryResourceStore,
} from "./memory-store.ts";
import { createSampleEvidence, nothingStored, sampleLogStatus } from "./sample-evidence.ts";
import { createSampleOpener, createSampleTokens } from "./sealing.ts";

const soundReport = {
  ok: true,
  logId: "log-1",
  records: 2,
  pruned: 0,
  firstSeq: 1,
  lastSeq: 2,
  lastLeaf: "0".repeat(64),
  covered: 2,
  verdicts: { ok: 1, okSealed: 1, okShredded: 0, okPruned: 0 },
  violation: undefined,
  undecided: undefined,
};

export const digestOfToken = (token: string): string =>
  createHmac("sha256", "test-key").update(token).digest("hex");

export interface AdminPlane extends AsyncDisposable {
  readonly address: string;
  readonly server: AdminServer;
  readonly token: string;
  readonly current: SwappableSnapshot;
  readonly store: MemoryResourceStore;
  readonly records: RecordDraft[];
  readonly events: string[];
  readonly rows: AuditRow[];
  /** What was to be erased. */
  readonly erasures: ErasureRequest[];
  /** What was asked of the cache. */
  readonly purges: PurgeFilter[];
  /** Sends a row to every TailRecords. */
  emit(row: AuditRow): void;
  tails(): number;
  /** Exports under way, for which nothing is taken out of the log. */
  exports(): number;
  client(token?: string): AdminClient;
  /** The services' way to write, for what writes besides them. */
  readonly state: StateWriter;
}

export interface AdminPlaneOptions {
  readonly rows?: readonly AuditRow[];
  readonly operators?: readonly OperatorEntry[];
  /** In place of the one in memory. */
  readonly store?: Store;
  readonly twoPerson?: boolean;
  readonly revisionsMax?: number;
  /** Open sessions; ended ones go. */
  readonly sessions?: readonly SessionFacts[];
  /** By id. */
  readonly grants?: readonly GrantSummary[];
  /** What servers get that do not say; true where left out. */
  readonly allowPrivateNetwork?: boolean;
  readonly appendFails?: (draft: RecordDraft) => boolean;
  /** Awaited before GetStatus answers. */
  readonly beforeStatus?: () => Promise<void>;
  readonly server?: Partial<AdminServerDeps>;
  readonly credentials?: ChannelCredentials;
}

export async function startAdminPlane(options: AdminPlaneOptions = {}): Promise<AdminPlane> {
  const dataDir = mkdtempSync(join(tmpdir(), "admin-plane-"));
  const operators = createOperators({
    dataDir,
    operators: options.operators ?? [],
    bootstrapRoles: ["admin", "auditor"],
  });
  const token = readFileSync(operators.tokenPath, "utf8").trim();
  const store = createMemoryResourceStore();
  const loaded = await (options.store?.resources ?? store).load();
  const current = createCurrentSnapshot(
    buildSnapshot(loaded.stateRevision, loaded.resources, compilePolicy),
  );
  const records: RecordDraft[] = [];
  const events: string[] = [];
  const rows = [...(options.rows ?? [])];
  const opener = createSampleOpener();
  const tokens = createSampleTokens();
  const purges: PurgeFilter[] = [];
  const erasures: ErasureRequest[] = [];
  const sessions = new Map((options.sessions ?? [ciSession]).map((one) => [one.id, one]));
  const grants = new Map((options.grants ?? []).map((one) => [one.id, one]));
  const listeners = new Set<(row: AuditRow) => void>();
  const exports = new Set<Disposable>();
  const { twoPerson = false } = options;
  const resources = options.store?.resources ?? store;
  const audit: AdminServerDeps["audit"] = {
    async append(draft, level) {
      if (options.appendFails?.(draft)) throw new Error("spool full");
      records.push(draft);
      events.push(`${draft.event}:${draft.facts.phase ?? ""}:${level}`);
      return { logId: "log-1", seq: records.length };
    },
  };
  const state = changeState({
    store: resources,
    current,
    compile: compilePolicy,
    clock: systemClock,
    history: createPolicyHistory({ twoPerson, revisionsMax: options.revisionsMax ?? 200 }),
  });
  const penalties = createPenaltyBox({
    refusalsMax: 1,
    penaltyMs: 60_000,
    clock: systemClock,
    metrics: { count() {} },
    onStart: () => {},
    onEnd: () => {},
  });
  penalties.noteRefusal("principal", "client:hasty");
  penalties.noteRefusal("source", "192.0.2.1");
  const services: AdminServices = {
    ClientService: createClientService({
      state,
      clock: systemClock,
      tokenDigest: digestOfToken,
      tokenKeyId: "0".repeat(16),
      signingSecret: createSigningSecret(Buffer.alloc(32, 7)),
      lastUses: async (_, ids) => new Map(ids.map((id) => [id, 5])),
      listSessions: () => [...sessions.values()],
      endSession: (id) => sessions.delete(id),
    }),
    ServerService: createServerService({
      state,
      defaults: {
        connectTimeoutMs: 10_000,
        callTimeoutMs: 60_000,
        responseBytesMax: 8_388_608,
        maxInFlight: 256,
        listTtlMs: 5_000,
        allowPrivateNetwork: options.allowPrivateNetwork ?? true,
      },
      checkTransport,
      listTools: async () => new Map([["add", { name: "add", text: '{"name":"add"}' }]]),
      checkServer: async (name) => statusOf(name),
      serverStatus: statusOf,
    }),
    PolicyService: createPolicyService({
      state,
      current,
      clock: systemClock,
      audit,
      records: { store: options.store?.audit ?? createMemoryAuditScan(rows), opener, tokens },
      twoPerson,
    }),
    RetentionService: createRetentionService({
      state,
      processRetention: async ({ validateOnly }) => ({
        outcomes: [{ ruleId: "r1", matched: 3, deleted: validateOnly ? 0 : 3 }],
      }),
      retentionStatistics: () => ({ lastRunAtMs: undefined, runs: 0, deleted: 0, failures: 0 }),
    }),
    GrantService: createGrantService({
      grants: {
        list: async ({ tenant, server, after = "", limit }) =>
          [...grants.values()]
            .filter((one) => tenant === undefined || one.tenant === tenant)
            .filter((one) => server === undefined || one.server === server)
            .filter(({ id }) => id > after)
            .slice(0, limit),
        summary: async (id) => grants.get(id),
        remove: async (id) => grants.delete(id),
      },
      revokeUpstream: async ({ server }) => server !== "gone",
      async recordRevoked(grant) {
        events.push(`consent.revoked:${grant.id}`);
      },
    }),
    RevocationService: createRevocationService({
      state,
      clock: systemClock,
      issuers: ["https://issuer.example"],
    }),
    AuditService: createAuditService({
      store: createMemoryAuditScan(rows),
      opener,
      clock: systemClock,
      tokens,
      log: {
        tail(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
        status: () => ({ ...sampleLogStatus, syncedSeq: rows.length }),
        caughtUp: async () => {},
      },
      evidence: createSampleEvidence(),
      stored: nothingStored,
      proofs: async () => undefined,
      beginExport: () => {
        const begun = { [Symbol.dispose]: () => exports.delete(begun) };
        exports.add(begun);
        return begun;
      },
      verifyLog: async () => [soundReport],
    }),
    KeyService: createKeyService({
      erasure: {
        destroy: async (request) => {
          erasures.push(request);
          return { keys: 1, records: 2, sweepDueAtMs: request.validateOnly ? undefined : 5 };
        },
        pending: () => 3,
      },
      rotation: { rotate: async () => ({ epoch: 2, rewraps: 4 }) },
      rotateNodeKey: async () => ({ newKey: "the new one" }),
      listKeys: async (tenant) =>
        keyGroups.filter((group) => tenant === undefined || group.tenant === tenant),
    }),
    LimitService: createLimitService({ penalties }),
    CacheService: createCacheService({
      cacheStatistics: () => ({
        entries: 1,
        bytes: 2,
        entriesMax: 3,
        bytesMax: 4,
        hits: 5,
        misses: 6,
        bindingFailures: 0,
      }),
      purgeCache: (filter) => {
        purges.push(filter);
        return 7;
      },
    }),
    SystemService: createSystemService({
      current,
      effectiveConfig: () => ({ agents: { port: 8000 } }),
      gatewayStatus: async () => {
        await options.beforeStatus?.();
        return {
          version: "0.1.0",
          startedAtMs: 1,
          ready: true,
          draining: false,
          connections: 0,
          sessions: 0,
          inFlight: 0,
          store: "sqlite",
        };
      },
      auditStatus: () => ({
        logId: "log-1",
        syncedSeq: 2,
        shippedSeq: 1,
        spoolBytes: 10,
        writable: true,
        dropped: 0,
      }),
      drain: () => events.push("drain"),
    }),
  };
  const server = createAdminServer({
    host: "127.0.0.1",
    port: 0,
    services,
    authenticate: operators.authenticate,
    audit,
    clock: systemClock,
    log: silentLog,
    metrics: { count: () => {} },
    ...options.server,
  });
  const { address } = await server.start();
  const clients: AdminClient[] = [];
  return {
    address,
    server,
    token,
    current,
    store,
    records,
    events,
    rows,
    purges,
    erasures,
    emit: (row) => {
      for (const listener of listeners) listener(row);
    },
    tails: () => listeners.size,
    exports: () => exports.size,
    state,
    client(chosen = token) {
      const client = createAdminClient(
        address,
        chosen,
        options.credentials ?? credentials.createInsecure(),
      );
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await server.stop(0);
      rmSync(dataDir, { recursive: true });
    },
  };
}

type Loose<T> = T extends readonly (infer E)[]
  ? readonly Loose<E>[]
  : T extends object
    ? { readonly [K in keyof T]?: Loose<T[K]> }
    : T;
type ServiceName = keyof AdminServices;
type MethodName<S extends ServiceName> = keyof AdminServices[S] & string;
type Fn<S extends ServiceName, M extends MethodName<S>> = AdminServices[S][M] extends (
  request: infer Q,
  caller: never,
) => infer A
  ? { readonly request: Q; readonly answer: A }
  : never;

export interface AdminClient {
  call<S extends ServiceName, M extends MethodName<S>>(
    service: S,
    method: M,
    request: Loose<Fn<S, M>["request"]>,
    options?: CallOptions,
  ): Promise<Awaited<Fn<S, M>["answer"]>>;
  /** Raw bytes instead of a message. */
  callRaw(service: ServiceName, method: string, bytes: Buffer): Promise<object>;
  exportRecords(request: Loose<api.ExportRecordsRequest>): StreamOf<api.ExportRecordsResponse>;
  tailRecords(request: Loose<api.TailRecordsRequest>): StreamOf<api.TailRecordsResponse>;
  replay(request: Loose<api.ReplayRequest>): StreamOf<api.ReplayResponse>;
  close(): void;
}

export interface StreamOf<T> extends AsyncIterable<T> {
  cancel(): void;
}

export function createAdminClient(
  address: string,
  token: string,
  channel: ChannelCredentials,
  more: Readonly<Record<string, string>> = {},
): AdminClient {
  const client = new Client(address, channel, {
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.max_send_message_length": 64 * 1024 * 1024,
    "grpc.enable_retries": 0,
  });
  const metadata = new Metadata();
  if (token !== "") metadata.set("authorization", `Bearer ${token}`);
  for (const [name, value] of Object.entries(more)) metadata.set(name, value);
  const definitionOf = (service: string, method: string) => {
    const methods = Object.entries(needService(`mcp_gateway.admin.v1.${service}`));
    const found = methods.find(([name]) => functionName(name) === method)?.[1];
    if (found === undefined) throw new Error(`no ${service}/${method}`);
    return found;
  };
  const unary = (
    service: string,
    method: string,
    serialize: (request: object) => Buffer,
    request: object,
    options: CallOptions,
  ) =>
    new Promise<never>((resolve, reject) => {
      const { path, responseDeserialize } = definitionOf(service, method);
      const done = (error: ServiceError | null, answer?: object) =>
        error === null ? resolve(answer as never) : reject(error);
      client.makeUnaryRequest(
        path,
        serialize,
        responseDeserialize,
        request,
        metadata,
        options,
        done,
      );
    });
  const stream = (service: string, method: string, request: object) => {
    const { path, requestSerialize, responseDeserialize } = definitionOf(service, method);
    return client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
    ) as never;
  };
  return {
    call: (service, method, request, options = {}) =>
      unary(
        service,
        method,
        definitionOf(service, method).requestSerialize,
        request as object,
        options,
      ),
    callRaw: (service, method, bytes) => unary(service, method, () => bytes, {}, {}),
    exportRecords: (request) => stream("AuditService", "exportRecords", request),
    tailRecords: (request) => stream("AuditService", "tailRecords", request),
    replay: (request) => stream("PolicyService", "replay", request),
    close: () => client.close(),
  };
}

/** Keys of two tenants, of none, and those that are nobody's. */
const keyGroups: readonly KeyGroup[] = (
  [
    ["kek", "", ""],
    ["index", "", ""],
    ["subject", "", ""],
    ["subject", "a", ""],
    ["subject", "a:b", ""],
    ["class", "a", "CONFIDENTIAL 2026-01"],
  ] as const
).map(([purpose, tenant, label]) => ({
  ...{ purpose, tenant, label },
  ...{ epoch: 1, state: "active", count: 2, oldestAtMs: 1, newestAtMs: 2 },
}));

const ciSession: SessionFacts = {
  id: "s1",
  clientId: "ci",
  principal: "client:ci",
  tenant: undefined,
  binding: "http",
  scope: "all",
  openedAtMs: 1,
  lastUsedAtMs: 2,
};

function statusOf(name: string) {
  return {
    name,
    state: "ready",
    era: "modern",
    revision: "2026-07-28",
    lastError: undefined,
    consecutiveFailures: 0,
    inFlight: 0,
    restarts: 0,
  } as const;
}
