/**
 * What befalls the spool's disk, said once in the gateway's own log and once in the audit log: full, failing, slow, or
 * near its quota. Each at most as often as it changes, so that a sick disk is not kept busy with news of itself.
 * Used by `spool.ts`; decides nothing but that a full disk takes nothing new.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { RecordDraft } from "../record.ts";

export interface Trouble {
  noteRoom(isFull: boolean, reason: string): void;
  /** A sync failed (ST-09). */
  noteUnsynced(seq: number, reason: string): void;
  noteSynced(seconds: number): void;
  noteBytes(spoolBytes: number): void;
  isDiskFull(): boolean;
}

export interface TroubleDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly spoolBytesMax: number;
  /** A sync longer than this made somebody wait in vain. */
  readonly deadlineMs: number;
  /** Appends past admission; never fails. */
  readonly record: (draft: RecordDraft) => void;
}

/** Percent of the quota at which a warning is given (ST-08). */
const warnedPercents = [50, 80, 95] as const;
/** By how much the spool must fall below such a share before it is warned of again. */
const easedPercent = 5;
const slowIntervalMs = 10_000;

export function createTrouble(deps: TroubleDeps): Trouble {
  const { clock, log } = deps;
  let fullSinceMs: number | undefined;
  let warnedPercent = 0;
  let slowSyncs = 0;
  let slowestMs = 0;
  let slowToldMs = Number.NEGATIVE_INFINITY;

  function noteRoom(isFull: boolean, reason: string): void {
    const nowMs = clock.monotonicMs();
    if (isFull) {
      fullSinceMs = nowMs;
      log.error("storage.disk_full", { reason, advice: "Calls are refused until there is room." });
      record("storage.disk_full", "A", { state: "full", reason });
      return;
    }
    const fullMs = Math.round(nowMs - (fullSinceMs ?? nowMs));
    fullSinceMs = undefined;
    log.info("storage.disk_has_room", { fullMs });
    record("storage.disk_full", "A", { state: "room", fullMs });
  }

  function noteUnsynced(seq: number, reason: string): void {
    log.error("audit.unsynced", { reason, seq });
    record("storage.fsync_failed", "A", { reason, seq });
  }

  function noteSynced(seconds: number): void {
    const syncMs = Math.round(seconds * 1000);
    if (syncMs <= deps.deadlineMs) return;
    slowSyncs += 1;
    slowestMs = Math.max(slowestMs, syncMs);
    const nowMs = clock.monotonicMs();
    if (nowMs - slowToldMs < slowIntervalMs) return;
    log.warn("storage.slow", { syncs: slowSyncs, slowestMs });
    record("storage.slow", "B", { syncs: slowSyncs, slowestMs });
    slowToldMs = nowMs;
    slowSyncs = 0;
    slowestMs = 0;
  }

  function noteBytes(spoolBytes: number): void {
    const used = (100 * spoolBytes) / deps.spoolBytesMax;
    const percent = warnedPercents.findLast((one) => used >= one) ?? 0;
    if (percent > warnedPercent) {
      warnedPercent = percent;
      const room = { percent, spoolBytes, spoolBytesMax: deps.spoolBytesMax };
      log.warn("storage.quota", { ...room, advice: "The database does not keep up, or is away." });
      record("storage.quota", "A", room);
    } else if (used < warnedPercent - easedPercent) warnedPercent = percent;
  }

  function record(
    event: RecordDraft["event"],
    recordClass: "A" | "B",
    facts: RecordDraft["facts"],
  ): void {
    deps.record({ event, class: recordClass, timeMs: clock.nowMs(), facts, details: {} });
  }

  return {
    noteRoom,
    noteUnsynced,
    noteSynced,
    noteBytes,
    isDiskFull: () => fullSinceMs !== undefined,
  };
}
