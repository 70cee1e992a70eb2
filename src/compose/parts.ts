/**
 * What is made before any listener, in the order it depends on each other: database, audit log, state, servers,
 * cache, retention. Decides nothing.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { OpenAuditLog } from "../audit/log.ts";
import { createOpener, type Opener } from "../audit/opener.ts";
import { createFilterTokens, type FilterTokens } from "../audit/tokens.ts";
import { createReplyCache, type ReplyCache } from "../cache/reply-cache.ts";
import type { Config } from "../config/config.ts";
import { isStrict } from "../config/presets.ts";
import { createTokenHasher, type TokenHasher } from "../identity/client-token.ts";
import { type DevIssuer, openDevIssuer } from "../identity/dev-issuer.ts";
import { loadKey } from "../identity/key-file.ts";
import { createLastUse, type LastUse } from "../identity/last-use.ts";
import { createSigningSecret, type SigningSecret } from "../identity/proof/signing-key.ts";
import { checkTokenKey, tokenKeyId } from "../identity/token-key.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { version } from "../lib/version.ts";
import { beginWorker } from "../lib/worker.ts";
import { createRequestStates, type RequestStates } from "../pipeline/request-state.ts";
import { createServerChanges, type ServerChanges } from "../pipeline/server-changes.ts";
import { createTaskIds, type TaskIds } from "../pipeline/task-ids.ts";
import { compilePolicy } from "../policy/compile.ts";
import { createRetention, defaultRetentionOptions, type Retention } from "../retention/run.ts";
import type { Servers } from "../servers/client.ts";
import { sealResources, sealStored } from "../servers/credentials/sealed-resources.ts";
import { createSecretSealer, type SecretSealer } from "../servers/credentials/sealing.ts";
import { createServers } from "../servers/pool.ts";
import { buildSnapshot, type CompilePolicy } from "../state/build.ts";
import { compileWithNames } from "../state/configured-names.ts";
import {
  createCurrentSnapshot,
  followStore,
  type StoreFollower,
  type SwappableSnapshot,
} from "../state/current.ts";
import { createFreshness, type Freshness } from "../state/freshness.ts";
import { openStore } from "../storage/open-store.ts";
import type { ResourceStore, Store } from "../storage/store.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import type { Vault } from "../vault/vault.ts";
import { startAuditing } from "./auditing.ts";
import { type Consents, createConsents } from "./consents.ts";
import { createKeyWork, type KeyWork } from "./erasure.ts";
import { openKeyVault } from "./key-vault.ts";
import type { SinkThread } from "./sink-thread.ts";
import { sayStandingOnce } from "./standing-warnings.ts";
import { createVerifying, type OpenVerifying } from "./verifying.ts";
import type { WitnessThread } from "./witness-thread.ts";

/** Everything that is made before the listeners; each listener takes what it needs. */
export interface Parts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly audit: OpenAuditLog;
  readonly verifying: OpenVerifying;
  /** Undefined where there is none. */
  readonly sinks: SinkThread | undefined;
  readonly witness: WitnessThread | undefined;
  /** The keys of the records' personal values. */
  readonly vault: Vault;
  /** For whoever reads records. */
  readonly opener: Opener;
  readonly tokens: FilterTokens;
  readonly current: SwappableSnapshot;
  /** Of policy, as this configuration allows it: for everything that makes a snapshot. */
  readonly compile: CompilePolicy;
  /** Reloads the state when another node wrote. */
  readonly follower: StoreFollower;
  /** Watches that what is served is still what the database holds. */
  readonly freshness: Freshness;
  readonly servers: Servers;
  /** What the servers said of themselves. */
  readonly changes: ServerChanges;
  readonly cache: ReplyCache;
  readonly retention: Retention;
  /** Erasure and key rotation. */
  readonly keyWork: KeyWork;
  readonly tokenDigest: TokenHasher;
  readonly tokenKeyId: string;
  readonly signingSecret: SigningSecret;
  /** Undefined where it is off. */
  readonly devIssuer: DevIssuer | undefined;
  readonly lastUse: LastUse;
  readonly requestStates: RequestStates;
  readonly taskIds: TaskIds;
  /** Of users, to servers that are called in their name. */
  readonly consents: Consents;
  readonly startedAtMs: number;
}

/**
 * How long a start waits for a database that is not there yet: as long as it takes, up to what a timer can hold. What
 * it would serve is in there, and going away would only have it started again.
 */
const databaseWaitMs = 2 ** 31 - 1;

export async function createParts(config: Config): Promise<Parts> {
  const clock = systemClock;
  const log = sayStandingOnce(createLog(config.log.level, clock));
  for (const warning of config.warnings) log.warn("config.warning", { warning });
  const metrics = createMetrics();
  const database = {
    ...(config.database.url === undefined ? {} : { databaseUrl: config.database.url.reveal() }),
    dataDir: config.dataDir,
    deadlineMs: config.database.deadlineMs,
    mustBeDurable: isStrict(config.preset),
  };
  beginThreads(config);
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const [opened, sealer, vault] = await Promise.all([
    openStore({ ...database, log, migrate: true, waitMs: databaseWaitMs }),
    createSealer(config),
    openKeyVault(config, { clock, log }),
  ]);
  const tokens = createFilterTokens(vault);
  const store = { ...opened, resources: await sealedResources(opened, sealer, clock, log) };
  const { stateRevision, resources } = await store.resources.load();
  const compile = compileWithNames(compilePolicy, {
    redactionProfiles: config.sanitize.profiles.map((profile) => profile.name),
    rateTiers: Object.keys(config.limits.tiers),
  });
  const current = createCurrentSnapshot(buildSnapshot(stateRevision, resources, compile));
  const tokenKeyPath = config.identity.tokenKeyFile ?? join(config.dataDir, "token.key");
  const tokenKey = await loadKey(tokenKeyPath);
  checkTokenKey(tokenKey, tokenKeyPath, current.get().tokens.values());
  const { audit, sinks, witness } = await startAuditing(config, database, opened.checkpoints, {
    store,
    clock,
    log,
    metrics,
    keys: vault,
    life: { version, stateRevision },
  });
  const changes = createServerChanges();
  const consents = createConsents({ config, clock, log, store, audit }, sealer, tokenKey);
  const servers = createServers({
    specs: current.get().servers,
    inheritedEnvironment: config.stdioEnvironment,
    gatewayVersion: version,
    onChange: changes.note,
    access: consents,
    clock,
    log,
    metrics,
    limits: {
      drainTimeoutMs: config.drain.timeoutSeconds * 1000,
      processesMax: config.servers.processesPerServerMax,
      parkedMs: config.servers.parkedSeconds * 1000,
      parkedMax: config.servers.parkedCallsMax,
      parkedPerPrincipalMax: config.servers.parkedCallsPerPrincipalMax,
    },
  });
  current.subscribe((next) => servers.apply(next.servers));
  const follower = followStore({ store: store.resources, current, compile, log });
  const freshness = createFreshness({
    store: store.resources,
    current,
    reload: follower.reload,
    maxStaleMs: config.policy.maxStaleSeconds * 1000,
    audit,
    clock,
    log,
    metrics,
  });
  const cache = createReplyCache({
    // Nothing fits into one byte: switched off.
    bytesMax: config.cache.enabled ? config.cache.bytesMax : 1,
    entriesMax: config.cache.entriesMax,
    ttlMsMax: config.cache.ttlSecondsMax * 1000,
    clock,
    metrics,
  });
  const verifying = createVerifying({
    audit,
    checkpoints: config.audit.witnessDatabaseUrl === undefined ? store.checkpoints : undefined,
  });
  const retention = createRetention({
    store,
    audit,
    verifying,
    toStored: tokens.toStored,
    rules: () => current.get().retentionRules,
    clock,
    log,
    metrics,
    options: { ...defaultRetentionOptions, intervalMs: config.retention.intervalMinutes * 60_000 },
  });
  const keyWork = await createKeyWork({
    ...{ config, vault, store, audit, verifying, cache, clock, log, metrics },
  });
  const startedAtMs = clock.nowMs();
  return {
    config,
    clock,
    log,
    metrics,
    store,
    audit,
    sinks,
    witness,
    vault,
    opener: createOpener(vault),
    tokens,
    current,
    compile,
    follower,
    freshness,
    servers,
    changes,
    cache,
    retention,
    keyWork,
    verifying,
    tokenDigest: createTokenHasher(tokenKey),
    tokenKeyId: tokenKeyId(tokenKey),
    signingSecret: createSigningSecret(tokenKey),
    devIssuer: config.identity.devIssuer.enabled
      ? await openDevIssuer({ ...config.identity.devIssuer, dataDir: config.dataDir, clock })
      : undefined,
    lastUse: createLastUse({ keeper: store.uses, state: current.get, clock, log }),
    taskIds: createTaskIds({ tokenKey }),
    consents,
    requestStates: createRequestStates({
      tokenKey,
      lifetimeMs: config.call.questionSeconds * 1000,
      clock,
    }),
    startedAtMs,
  };
}

/** Has the threads that a start waits for on their way while the first database opens. */
function beginThreads({ database, vault, audit }: Config): void {
  if (vault.url === undefined) beginWorker("storage/sqlite-worker");
  if (database.url === undefined) beginWorker("storage/sqlite-worker");
  if (!audit.enabled) return;
  beginWorker("audit/spool/worker");
  beginWorker("audit/evidence/notary-worker");
}

async function createSealer(config: Config): Promise<SecretSealer> {
  const keyPath = config.servers.secretsKeyFile ?? join(config.dataDir, "secrets.key");
  return createSecretSealer(await loadKey(keyPath), keyPath);
}

/** The stored resources behind the key that seals their secrets; what lies there plainly is sealed first. */
async function sealedResources(
  { resources }: Store,
  sealer: SecretSealer,
  clock: Clock,
  log: Log,
): Promise<ResourceStore> {
  const sealed = await sealStored(resources, sealer, clock.nowMs());
  if (sealed > 0) log.info("secrets.sealed", { servers: sealed });
  return sealResources(resources, sealer);
}
