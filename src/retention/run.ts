/**
 * Carries out retention: batch by batch, each one recorded before its rows go, so that a gap in the log can always
 * be told from tampering. Runs on demand (`RetentionService.ProcessRetention`) and in the background; one process
 * at a time holds the lock.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { RetentionRuleResource } from "../state/resources.ts";
import type { AuditFilter, AuditStore, Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createOrders, type OrderAudit, orderedRowsMax, type Verifying } from "./orders.ts";
import { buildPlan, type PlannedDeletion } from "./plan.ts";

export interface RetentionOptions {
  readonly intervalMs: number;
  /** Rows ordered away together. */
  readonly batchMax: number;
}

export const defaultRetentionOptions: RetentionOptions = {
  intervalMs: 60 * 60 * 1000,
  batchMax: orderedRowsMax,
};

export interface RetentionDeps {
  readonly store: Pick<Store, "audit" | "exclusively">;
  readonly audit: OrderAudit;
  readonly verifying: Verifying;
  /** A filter as the store has its values. */
  readonly toStored: (filter: AuditFilter) => Promise<AuditFilter>;
  readonly rules: () => readonly RetentionRuleResource[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count">;
  readonly options?: RetentionOptions;
}

export interface RetentionResult {
  readonly ruleId: string;
  readonly matched: number;
  readonly deleted: number;
}

export interface Retention {
  /** Applies the rules now; with `validateOnly` only counts. Rejects with `state-conflict` where a run is under way. */
  process(request: {
    readonly validateOnly: boolean;
    /** Who asked: an administrator's name, or "schedule". */
    readonly by: string;
  }): Promise<readonly RetentionResult[]>;
  /** Starts the background run. */
  start(): void;
  /** Stops it after the batch under way. */
  stop(): Promise<void>;
}

type PrunableRow = Awaited<ReturnType<AuditStore["prunable"]>>[number];

/** How far the wall clock may run ahead of the monotonic one before it is not believed. */
const clockSlackMs = 60_000;

export function createRetention(deps: RetentionDeps): Retention {
  const { store, clock, log, metrics } = deps;
  const { intervalMs, batchMax } = deps.options ?? defaultRetentionOptions;
  const startedAt = { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  const { audit, verifying } = deps;
  const orders = createOrders({ store: store.audit, audit, verifying, clock });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let isStopped = false;

  async function process(request: { validateOnly: boolean; by: string }) {
    const plan = await Promise.all(
      buildPlan(deps.rules(), trustedNowMs()).map(async (deletion) => ({
        ...deletion,
        filter: await deps.toStored(deletion.filter),
        exclude: await Promise.all(deletion.exclude.map(deps.toStored)),
      })),
    );
    if (request.validateOnly) return countOnly(plan);
    const results = await store.exclusively("retention", () => carryOut(plan, request.by));
    if (results === undefined) {
      throw new GatewayError("state-conflict", "A retention run is already under way; try later.");
    }
    return results;
  }

  async function countOnly(plan: readonly PlannedDeletion[]): Promise<readonly RetentionResult[]> {
    const results: RetentionResult[] = [];
    for (const { ruleId, filter, exclude } of plan) {
      const matched = await store.audit.countPrunable({ filter, exclude });
      results.push({ ruleId, matched, deleted: 0 });
    }
    return results;
  }

  async function carryOut(plan: readonly PlannedDeletion[], by: string) {
    const results: RetentionResult[] = [];
    for (const deletion of plan) {
      if (isStopped) break;
      results.push(await deleteAll(deletion, by));
    }
    return results;
  }

  async function deleteAll(deletion: PlannedDeletion, by: string): Promise<RetentionResult> {
    const { ruleId, filter, exclude } = deletion;
    const matched = await store.audit.countPrunable({ filter, exclude });
    let deleted = 0;
    while (deleted < matched && !isStopped) {
      const rows = await store.audit.prunable({ filter, exclude, limit: batchMax });
      if (rows.length === 0) break;
      const gone = await deleteBatch(ruleId, rows, by);
      // A store that deletes nothing would otherwise be asked for ever.
      if (gone === 0) break;
      deleted += gone;
      metrics.count("mcp_gateway_retention_deleted_total", {}, gone);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { ruleId, matched, deleted };
  }

  async function deleteBatch(
    ruleId: string,
    rows: readonly PrunableRow[],
    by: string,
  ): Promise<number> {
    const more = { facts: { rule: ruleId }, details: { principal: by } };
    await orders.give("retention.executed", rows, more);
    return store.audit.prune(rows.map(({ logId, seq }) => ({ logId, seq })));
  }

  /** Never later than the time that has really passed since the start, so a clock that jumps deletes nothing early. */
  function trustedNowMs(): number {
    const passedMs = clock.monotonicMs() - startedAt.monotonicMs;
    return Math.min(clock.nowMs(), startedAt.wallMs + passedMs + clockSlackMs);
  }

  async function runScheduled(): Promise<void> {
    try {
      for (const result of await process({ validateOnly: false, by: "schedule" })) {
        if (result.deleted > 0) log.info("retention.deleted", { ...result });
      }
    } catch (error) {
      log.warn("retention.failed", { reason: String(error) });
    }
    schedule();
  }

  function schedule(): void {
    if (isStopped) return;
    timer = setTimeout(() => {
      running = runScheduled();
    }, intervalMs);
    timer.unref();
  }

  function start(): void {
    isStopped = false;
    schedule();
  }

  async function stop(): Promise<void> {
    isStopped = true;
    clearTimeout(timer);
    await running;
  }

  return { process, start, stop };
}
