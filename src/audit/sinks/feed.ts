/**
 * Feeds one sink: reads the spool with a reader of its own from where the sink stands, delivers in order and at least
 * once, and keeps the place. A sink that is away is tried again ever more slowly, and nobody waits for it; what the
 * spool had to remove meanwhile is said in the sink itself as a gap, with its count. One a sink, on the sinks' thread.
 */

import type { Clock } from "../../lib/clock.ts";
import { createPause } from "../../lib/pause.ts";
import { createSpoolReader, type SpoolRecord } from "../spool/reader.ts";
import type { SinkCursor, SinkPlace } from "./cursor.ts";
import { type Sink, SinkBusy, type SinkLine, SinkRefusal } from "./sink.ts";
import { type SinkGap, toGapLine, toSinkLine } from "./sink-line.ts";

export interface FeedOptions {
  readonly batchMax: number;
  /** Longest one delivery may take. */
  readonly deadlineMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** How often the place is kept while records are delivered. */
  readonly saveIntervalMs: number;
}

export const defaultFeedOptions: FeedOptions = {
  batchMax: 256,
  deadlineMs: 10_000,
  backoffMinMs: 250,
  backoffMaxMs: 30_000,
  saveIntervalMs: 1_000,
};

/** Batches still delivered when the gateway stops; the rest is delivered after the next start. */
const lastBatchesMax = 20;

export interface FeedDeps {
  readonly spoolDir: string;
  readonly logId: string;
  /** Asked anew after each failure, so no half-sent batch lingers in a connection. */
  readonly open: () => Sink;
  readonly cursor: SinkCursor;
  readonly clock: Clock;
  readonly options: FeedOptions;
  /** Said once when it goes down, once when it is back, and for each gap. */
  readonly changed: (change: FeedChange) => void;
}

export type FeedChange =
  | { readonly kind: "down"; readonly reason: string }
  | { readonly kind: "up"; readonly downMs: number }
  | ({ readonly kind: "gap" } & SinkGap);

export interface FeedStatus {
  readonly deliveredSeq: number;
  /** Deliveries that failed. */
  readonly failures: number;
  /** Records the sink will never have. */
  readonly skipped: number;
  readonly isDown: boolean;
}

export interface Feed {
  /** The spool is synced up to here. */
  advance(syncedSeq: number): void;
  status(): FeedStatus;
  /** Delivers what little is left if the sink takes it, and keeps the place. */
  stop(): Promise<void>;
}

export function startFeed(deps: FeedDeps): Feed {
  const { clock, options, logId, cursor } = deps;
  const reader = createSpoolReader(deps.spoolDir);
  let place: SinkPlace = { log: logId, seq: 0 };
  /** What a failure goes back to: what the receiver has for sure. */
  let saved = place;
  /** What stands in the cursor's file. */
  let kept = place;
  let savedAtMs = clock.monotonicMs();
  /** A sink that is new begins with what the spool has; afterwards a missing number is a gap. */
  let hasBegun = false;
  let opening: readonly SinkLine[] = [];
  /** Gaps of the batch under way: said once, however often it is tried. */
  const toldGaps = new Set<string>();
  let syncedSeq = 0;
  let readUntil = 0;
  let failures = 0;
  let skipped = 0;
  let downSinceMs: number | undefined;
  let backoffMs = options.backoffMinMs;
  let lastBatches: number | undefined;
  let sink: Sink | undefined;
  const waiting = createPause();
  const running = run();

  return {
    advance(seq) {
      syncedSeq = Math.max(syncedSeq, seq);
      if (downSinceMs === undefined) waiting.end();
    },
    status: () => {
      const isDown = downSinceMs !== undefined;
      return { deliveredSeq: place.seq, failures, skipped, isDown };
    },
    async stop() {
      lastBatches = lastBatchesMax;
      waiting.end();
      await running;
    },
  };

  async function run(): Promise<void> {
    let isLoaded = false;
    while (lastBatches !== 0) {
      try {
        if (!isLoaded) load();
        isLoaded = true;
        const isDone = (await deliverNext()) && syncedSeq === readUntil;
        noteUp();
        if (lastBatches !== undefined) lastBatches = isDone ? 0 : lastBatches - 1;
        else if (isDone) await pause(options.saveIntervalMs);
      } catch (error) {
        await noteFailure(error);
      }
    }
    await closeSink();
  }

  function load(): void {
    const found = cursor.load();
    if (found === undefined) return;
    hasBegun = true;
    if (found.log === logId) place = found;
    else opening = [noteGap({ log: found.log, from: found.seq + 1, reason: "log-ended" })];
    saved = place;
    kept = place;
  }

  /** Delivers one batch; true where nothing more is there. */
  async function deliverNext(): Promise<boolean> {
    readUntil = syncedSeq;
    const records = await reader.read(place.seq, readUntil, options.batchMax);
    const last = records.at(-1);
    if (last !== undefined) {
      await deliver([...opening, ...takeLines(records)]);
      place = { log: logId, seq: last.seq };
      hasBegun = true;
      opening = [];
      toldGaps.clear();
    }
    const isDone = last === undefined;
    if (isDone || lastBatches === 1 || clock.monotonicMs() - savedAtMs >= options.saveIntervalMs) {
      await save();
    } else if (sink?.isAcknowledged === true) saved = place;
    return isDone;
  }

  /** The lines of these records, each gap in their numbers said where it is. */
  function takeLines(records: readonly SpoolRecord[]): readonly SinkLine[] {
    let expected = hasBegun ? place.seq + 1 : (records[0]?.seq ?? 0);
    return records.flatMap((record) => {
      const from = expected;
      const count = record.seq - from;
      expected = record.seq + 1;
      const gap = count > 0 ? [noteGap({ log: logId, from, count, reason: "removed" })] : [];
      const line = toSinkLine(record);
      return line === undefined ? gap : [...gap, line];
    });
  }

  /** All of them at once or, where the receiver refuses that, one by one, to find the one it will not have. */
  async function deliver(lines: readonly SinkLine[]): Promise<void> {
    try {
      await write(lines);
    } catch (error) {
      if (!(error instanceof SinkRefusal)) throw error;
      for (const line of lines) await write([line]).catch((cause) => replace(line, cause));
    }
  }

  async function replace({ seq }: SinkLine, cause: unknown): Promise<void> {
    if (!(cause instanceof SinkRefusal)) throw cause;
    await write([noteGap({ log: logId, from: seq, count: 1, reason: "refused" })]);
  }

  function write(lines: readonly SinkLine[]): Promise<void> {
    sink ??= deps.open();
    return inTime(sink.write(lines));
  }

  function noteGap(given: Omit<SinkGap, "count"> & { readonly count?: number }): SinkLine {
    const gap = { ...given, count: given.count };
    const key = `${gap.log} ${gap.from}`;
    if (!toldGaps.has(key)) {
      toldGaps.add(key);
      skipped += gap.count ?? 0;
      deps.changed({ kind: "gap", ...gap });
    }
    return toGapLine(gap, clock.nowMs());
  }

  async function save(): Promise<void> {
    savedAtMs = clock.monotonicMs();
    if (place === kept) return;
    if (sink !== undefined) await inTime(sink.settle());
    cursor.save(place);
    kept = place;
    saved = place;
  }

  async function noteFailure(error: unknown): Promise<void> {
    failures += 1;
    place = saved;
    if (lastBatches !== undefined) lastBatches = 0;
    if (downSinceMs === undefined) {
      downSinceMs = clock.monotonicMs();
      const reason = error instanceof Error ? error.message : String(error);
      deps.changed({ kind: "down", reason });
    }
    await closeSink();
    const askedMs = error instanceof SinkBusy ? error.retryAfterMs : 0;
    await pause(Math.max(backoffMs, Math.min(askedMs, options.backoffMaxMs)));
    backoffMs = Math.min(backoffMs * 2, options.backoffMaxMs);
  }

  function noteUp(): void {
    backoffMs = options.backoffMinMs;
    if (downSinceMs === undefined) return;
    deps.changed({ kind: "up", downMs: Math.round(clock.monotonicMs() - downSinceMs) });
    downSinceMs = undefined;
  }

  async function closeSink(): Promise<void> {
    const closing = sink;
    sink = undefined;
    if (closing !== undefined) await inTime(closing.close()).catch(() => {});
  }

  function pause(delayMs: number): Promise<void> {
    if (lastBatches !== undefined) return Promise.resolve();
    return waiting.wait(delayMs);
  }

  async function inTime<T>(work: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const message = `no end within ${options.deadlineMs} ms`;
    const timer = setTimeout(() => late.reject(new Error(message)), options.deadlineMs);
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
