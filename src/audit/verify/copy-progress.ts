/**
 * Waiting for a database's copy that catches up: it is a second or two behind what is signed, and has no end yet that
 * could be held against a checkpoint (ST-01). Used before the copy is verified, beside a running gateway or inside it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../lib/clock.ts";

const pollMs = 50;

export interface CopyProgress {
  /** The record up to which the copy should reach. */
  readonly size: number;
  /** The record up to which it does. */
  readonly copied: () => number | Promise<number>;
  /** A copy that stands still for so long is waited for no more: what it lacks is for verification to name. */
  readonly stalledMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Resolves once the copy holds what it should, or stands still; rejects with the signal's reason once that aborts. */
export async function untilCopied({
  size,
  copied,
  stalledMs,
  clock,
  signal,
}: CopyProgress): Promise<void> {
  let reached = await copied();
  let endsAtMs = clock.monotonicMs() + stalledMs;
  while (reached < size && clock.monotonicMs() < endsAtMs) {
    signal?.throwIfAborted();
    await sleep(pollMs);
    const now = await copied();
    if (now > reached) endsAtMs = clock.monotonicMs() + stalledMs;
    reached = now;
  }
}
