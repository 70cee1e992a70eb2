/**
 * Watches the wall clock against the monotonic one and says on the record when it jumped (ST-18): records are ordered by
 * number, and whoever reads their times must know where the times cannot be believed. Started by `log.ts`.
 */
import type { Clock } from "../lib/clock.ts";
import { parseEnvelope } from "./envelope.ts";
import type { RecordDraft } from "./record.ts";
import { createSpoolReader } from "./spool/reader.ts";

export interface ClockWatchDeps {
  readonly clock: Clock;
  readonly record: (draft: RecordDraft) => void;
  readonly tickMs?: number;
}

/** Backward and forward: the wall clock was set. Pause: the process or the machine stood still. */
type JumpKind = "backward" | "forward" | "pause";

const defaultTickMs = 1_000;
/** Clocks are slewed a little all the time. */
const toleranceMs = 1_500;
/** A tick later than this is no busy moment any more. */
const pauseMs = 10_000;
/** What verification allows a record to be behind the one before it, without a jump on record. */
const behindMsMax = 5 * 60_000;

/** Returns a stop function. */
export function watchClock({ clock, record, tickMs = defaultTickMs }: ClockWatchDeps): () => void {
  let wallMs = clock.nowMs();
  let monotonicMs = clock.monotonicMs();
  const timer = setInterval(tick, tickMs);
  timer.unref();
  return () => clearInterval(timer);

  function tick(): void {
    const elapsedMs = clock.monotonicMs() - monotonicMs;
    const jumpMs = clock.nowMs() - wallMs - elapsedMs;
    wallMs += elapsedMs + jumpMs;
    monotonicMs += elapsedMs;
    if (Math.abs(jumpMs) > toleranceMs) {
      record(renderJump(clock, jumpMs < 0 ? "backward" : "forward", jumpMs));
    } else if (elapsedMs - tickMs > pauseMs) {
      record(renderJump(clock, "pause", elapsedMs - tickMs));
    }
  }
}

/** The jump between the log's last record and this start, where its time lies well ahead of now. */
export async function findJumpAtStart(
  clock: Clock,
  spoolDir: string,
  { lastSeq, lastTimeMs }: { readonly lastSeq: number; readonly lastTimeMs: number | undefined },
): Promise<RecordDraft | undefined> {
  const timeMs = lastTimeMs ?? (await readTimeOf(spoolDir, lastSeq));
  const behindMs = (timeMs ?? 0) - clock.nowMs();
  return behindMs > behindMsMax ? renderJump(clock, "backward", -behindMs) : undefined;
}

/** Of a record in the segment before the newest one. */
async function readTimeOf(spoolDir: string, seq: number): Promise<number | undefined> {
  if (seq === 0) return undefined;
  const [record] = await createSpoolReader(spoolDir).read(seq - 1, seq, 1);
  return parseEnvelope(record?.envelope ?? "")?.time;
}

function renderJump(clock: Clock, kind: JumpKind, byMs: number): RecordDraft {
  const facts = { kind, byMs: Math.round(byMs) };
  return { event: "clock.jump", class: "A", timeMs: clock.nowMs(), facts, details: {} };
}
