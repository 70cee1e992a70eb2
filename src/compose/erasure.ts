/**
 * Connects erasure and key rotation: the vault's keys, the log, its copy and the reply cache. Called by
 * `parts.ts`; started and stopped with the gateway.
 */
import type { OpenAuditLog } from "../audit/log.ts";
import { renderToken } from "../audit/tokens.ts";
import type { ReplyCache } from "../cache/reply-cache.ts";
import type { Config } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import { createErasure, defaultErasureOptions, type Erasure } from "../retention/erasure.ts";
import type { ErasureTarget } from "../retention/erasure-target.ts";
import type { Verifying } from "../retention/orders.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createRotation, type Rotation } from "../vault/rotation.ts";
import type { Vault } from "../vault/vault.ts";

export interface KeyWork {
  readonly erasure: Erasure;
  readonly rotation: Rotation;
  /** Goes on with what was begun, and looks every few seconds for what other nodes did. */
  start(): void;
  stop(): Promise<void>;
}

export interface KeyWorkDeps {
  readonly config: Pick<Config, "erasure">;
  readonly vault: Vault;
  readonly store: Pick<Store, "audit">;
  readonly verifying: Verifying;
  readonly audit: OpenAuditLog;
  readonly cache: Pick<ReplyCache, "purge">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "gauge">;
}

export async function createKeyWork(deps: KeyWorkDeps): Promise<KeyWork> {
  const { config, vault, store, audit, cache, clock, log, metrics } = deps;
  const { pollMs } = defaultErasureOptions;
  const erasure = await createErasure({
    vault: {
      keysOf: vault.keysOf,
      tokensOf: (principal) => tokensOf(vault, principal),
      destroy: vault.destroy,
      forget: vault.forget,
      liveAmong: (ids) => liveAmong(vault, ids),
      sweeps: vault.store.sweeps,
    },
    store: store.audit,
    audit,
    verifying: deps.verifying,
    purgeReplies: (target) => cache.purge(toPurge(target)),
    clock,
    log,
    metrics,
    options: {
      mixSubjects: config.erasure.mixSubjects,
      mixWaitMs: config.erasure.mixHours * 3_600_000,
      pollMs,
    },
  });
  const rotation = createRotation({
    vault,
    audit,
    oldestTokenMs: store.audit.oldestTokenMs,
    clock,
    log,
    retireAfterMs: config.erasure.keyRetireMinutes * 60_000,
  });
  metrics.gauge("mcp_gateway_erasure_pending", erasure.pending);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();

  /** Another node may have rotated: its new keys are known here with the next look. */
  async function lookAround(): Promise<void> {
    await vault.refresh().catch((cause: unknown) => {
      log.warn("vault.not_refreshed", { reason: String(cause) });
    });
    await rotation.run();
  }

  function schedule(): void {
    if (isStopped) return;
    timer = setTimeout(() => {
      running = lookAround().then(schedule);
    }, pollMs);
    timer.unref();
  }

  return {
    erasure,
    rotation,
    start() {
      erasure.start();
      schedule();
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await Promise.all([running, erasure.stop()]);
    },
  };
}

async function tokensOf(vault: Vault, principal: string): Promise<readonly string[]> {
  const keys = await vault.indexKeys();
  return keys.map(({ key }) => renderToken(key, "principal", principal));
}

async function liveAmong(vault: Vault, ids: readonly string[]): Promise<readonly string[]> {
  const stored = await vault.store.byIds(ids);
  return stored.filter((key) => key.state !== "destroyed").map((key) => key.id);
}

/** A class's values lie in anybody's replies. */
function toPurge(target: ErasureTarget | undefined): Parameters<ReplyCache["purge"]>[0] {
  const nobody = {
    server: undefined,
    target: undefined,
    principalId: undefined,
    tenant: undefined,
  };
  if (target?.kind !== "subject") return nobody;
  return { ...nobody, principalId: target.principal, tenant: target.tenant || undefined };
}
