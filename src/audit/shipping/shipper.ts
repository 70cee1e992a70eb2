/**
 * Has synced records copied from the spool to the database (`copier.ts`), in order, in batches, from the database's
 * own head onwards; sequence and leaf make it exactly once (ST-03). Never on a call's path: with the database away it
 * waits and tries again, and the spool grows (ST-01). Segments go only once the database has read them back (ST-04) and
 * they have reached their age, or the spool needs the room (ST-08).
 */

import type { Clock } from "../../lib/clock.ts";
import { createPause } from "../../lib/pause.ts";
import { type AuditStore, StoreError } from "../../storage/store.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { RecordDraft } from "../record.ts";
import { isDamaged, listSegments } from "../spool/files.ts";
import type { Copier, CopyPlace } from "./copier.ts";

export interface ShipperOptions {
  readonly batchMax: number;
  /** After a batch that was not full, how long records are collected for the next one, unless somebody asks for them. */
  readonly lingerMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Age below which a shipped segment stays. */
  readonly keepShippedMs: number;
  /** How often shipped segments are looked over, and how often while the spool is filling up. */
  readonly tidyIntervalMs: number;
  readonly pressedTidyIntervalMs: number;
}

export const defaultShipperOptions: ShipperOptions = {
  batchMax: 2048,
  lingerMs: 1_000,
  backoffMinMs: 250,
  backoffMaxMs: 30_000,
  keepShippedMs: 24 * 60 * 60 * 1000,
  tidyIntervalMs: 60_000,
  pressedTidyIntervalMs: 500,
};

/** Before the first batch: what a start records is little, and the copying would take of the start's own time. */
const firstWaitMs = 500;
/** Batches still shipped when the gateway stops. */
const lastBatchesMax = 20;

export interface ShipperDeps {
  readonly dir: string;
  readonly logId: string;
  readonly copier: Copier;
  /** Asked for what it holds before a segment is removed. */
  readonly store: Pick<AuditStore, "head">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count">;
  readonly options: ShipperOptions;
  /** The last record known to be synced. */
  readonly syncedSeq: () => number;
  /** Records what befalls the copy; never waits and never fails. */
  readonly record: (draft: RecordDraft) => void;
  readonly remove: (firstSeq: number) => void;
  /** Records above this one are still to be read from the spool, and stay there. */
  readonly neededAboveSeq: () => number;
  /** The database holds everything up to `seq`. */
  readonly shipped: (seq: number) => void;
  /** Bytes by which the spool is over what it should hold: shipped segments go before their age to free them. */
  readonly excessBytes: () => number;
}

export interface Shipper {
  /** Says that there may be something to ship; urgent where somebody waits for it. */
  wake(isUrgent?: boolean): void;
  /** Whether the database cannot be written to as far as is known: unreachable, or in contradiction. */
  isAway(): boolean;
  shippedSeq(): number;
  /** Stops after the batch under way, having shipped what little is left if the database is there. */
  stop(): Promise<void>;
}

export function startShipper(deps: ShipperDeps): Shipper {
  const { copier, store, clock, log, logId, options } = deps;
  /** What was shipped last; undefined until the database was asked. */
  let shipped: CopyPlace | undefined;
  let downSinceMs: number | undefined;
  let backoffMs = options.backoffMinMs;
  let tidiedAtMs = clock.monotonicMs();
  let isStopped = false;
  let isForked = false;
  let isWoken = false;
  /** Somebody waits for the database: no collecting. */
  let isHurried = false;
  let isLingering = false;
  const waiting = createPause();
  const running = run();
  return { wake, isAway, shippedSeq: () => shipped?.seq ?? 0, stop };

  function isAway(): boolean {
    return downSinceMs !== undefined || isForked || isStopped;
  }

  function wake(isUrgent = false): void {
    isWoken = true;
    isHurried ||= isUrgent;
    if (!isUrgent && isLingering && deps.syncedSeq() - (shipped?.seq ?? 0) < options.batchMax)
      return;
    if (downSinceMs === undefined) waiting.end();
  }

  async function run(): Promise<void> {
    await linger(Math.min(options.lingerMs, firstWaitMs));
    while (!isStopped && !isForked) {
      try {
        isWoken = false;
        isHurried = false;
        const count = await shipBatch();
        noteUp();
        await tidyWhenDue();
        if (count >= options.batchMax || isHurried) continue;
        if (count > 0) await linger(options.lingerMs);
        else await pause(tidyIntervalMs());
      } catch (error) {
        await noteFailure(error);
      }
    }
  }

  /** Ships one batch and returns how many records it held. */
  async function shipBatch(): Promise<number> {
    const untilSeq = deps.syncedSeq();
    shipped ??= await copier.head(untilSeq);
    if (shipped.seq >= untilSeq) return 0;
    const copied = await copier.copy({
      afterSeq: shipped.seq,
      untilSeq,
      limit: options.batchMax,
    });
    if (copied === undefined) return 0;
    if (copied.count === 0) {
      noteRegression(shipped, copied);
      // To be continued at once, from what is there.
      shipped = copied;
      return options.batchMax;
    }
    shipped = copied;
    deps.shipped(copied.seq);
    deps.metrics.count("mcp_gateway_audit_shipped_total", {}, copied.count);
    return copied.count;
  }

  async function tidyWhenDue(): Promise<void> {
    const nowMs = clock.monotonicMs();
    if (nowMs - tidiedAtMs < tidyIntervalMs()) return;
    tidiedAtMs = nowMs;
    const head = await store.head(logId);
    if (shipped === undefined || (head?.seq === shipped.seq && head.leaf === shipped.leaf)) {
      removeShipped(head?.seq ?? 0);
      return;
    }
    noteRegression(shipped, head);
    shipped = undefined;
  }

  /** The database lost records that it had, as by a failover: they are copied again (ST-04). */
  function noteRegression(from: CopyPlace, head: CopyPlace | undefined): void {
    const facts = { shippedSeq: from.seq, storeSeq: head?.seq ?? 0 };
    log.warn("storage.regressed", facts);
    record("storage.regressed", facts);
  }

  function tidyIntervalMs(): number {
    return deps.excessBytes() > 0 ? options.pressedTidyIntervalMs : options.tidyIntervalMs;
  }

  function removeShipped(confirmedSeq: number): void {
    let excessBytes = deps.excessBytes();
    const removableSeq = Math.min(confirmedSeq, deps.neededAboveSeq());
    const segments = listSegments(deps.dir);
    for (const [index, segment] of segments.entries()) {
      const next = segments[index + 1];
      if (next === undefined || next.firstSeq > removableSeq + 1) return;
      const { lastModified, size } = Bun.file(segment.path);
      if (excessBytes <= 0 && clock.nowMs() - lastModified < options.keepShippedMs) return;
      if (isDamaged(segment.path)) continue;
      excessBytes -= size;
      deps.remove(segment.firstSeq);
    }
  }

  async function noteFailure(error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof StoreError && error.kind === "corrupt") {
      isForked = true;
      log.error("audit.fork", { reason });
      record("integrity.violation", { kind: "fork", log: logId });
      return;
    }
    if (downSinceMs === undefined) {
      downSinceMs = clock.monotonicMs();
      log.warn("storage.down", { reason });
      record("storage.down", { shippedSeq: shipped?.seq ?? 0 });
    }
    await pause(backoffMs);
    backoffMs = Math.min(backoffMs * 2, options.backoffMaxMs);
  }

  function noteUp(): void {
    if (downSinceMs === undefined) return;
    const downMs = Math.round(clock.monotonicMs() - downSinceMs);
    downSinceMs = undefined;
    backoffMs = options.backoffMinMs;
    log.info("storage.up", { downMs });
    record("storage.up", { downMs });
  }

  function record(event: RecordDraft["event"], facts: RecordDraft["facts"]): void {
    deps.record({ event, class: "A", timeMs: clock.nowMs(), facts, details: {} });
  }

  /** Under load the database is asked for few large commits, because each costs as much as hundreds of records. */
  async function linger(delayMs: number): Promise<void> {
    isWoken = false;
    isLingering = true;
    await pause(delayMs);
    isLingering = false;
  }

  /** Waits. New records end it early, unless the database is down: it is not to be hammered. */
  function pause(delayMs: number): Promise<void> {
    if (isStopped || (isWoken && downSinceMs === undefined)) return Promise.resolve();
    return waiting.wait(delayMs);
  }

  async function stop(): Promise<void> {
    isStopped = true;
    waiting.end();
    await running;
    if (downSinceMs !== undefined || isForked) return;
    try {
      for (let left = lastBatchesMax; left > 0 && (await shipBatch()) > 0; left -= 1);
    } catch (error) {
      // What stays in the spool is shipped after the next start.
      log.warn("audit.not_shipped", { reason: String(error) });
    }
  }
}
