/**
 * How long synced records have been waiting for a signature, and the alarm where it lasts too long (ST-23). Has
 * a timer only while something waits. Used by `evidence.ts`.
 */
import type { Clock } from "../../lib/clock.ts";

export interface SigningWatch {
  /** Everything up to `seq` is synced. */
  noteSynced(seq: number): void;
  /** The notary is asked to look at what is synced by now. */
  noteTold(): void;
  noteSigned(size: number): void;
  /** The last record under a checkpoint. */
  signedSeq(): number;
  /** Age of the oldest unsigned synced record; 0 where there is none. */
  unsignedMs(): number;
  /** Whether that is longer than it may be. */
  isLate(): boolean;
  stop(): void;
}

export function createSigningWatch(deps: {
  readonly clock: Clock;
  readonly graceMs: number;
  /** Called once each time it becomes late, and once when it is over. */
  readonly late: (unsignedMs: number) => void;
  readonly over: () => void;
}): SigningWatch {
  const { clock, graceMs } = deps;
  let syncedSeq = 0;
  let signedSeq = 0;
  let waitingSinceMs: number | undefined;
  let told = { seq: 0, atMs: 0 };
  let isLate = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const unsignedMs = () =>
    waitingSinceMs === undefined ? 0 : clock.monotonicMs() - waitingSinceMs;

  function arm(delayMs: number): void {
    timer = setTimeout(check, delayMs);
    timer.unref();
  }

  function check(): void {
    timer = undefined;
    if (waitingSinceMs === undefined || isLate) return;
    const waitedMs = unsignedMs();
    if (waitedMs < graceMs) {
      arm(graceMs - waitedMs + 1);
      return;
    }
    isLate = true;
    deps.late(waitedMs);
  }

  return {
    noteSynced(seq) {
      if (seq <= syncedSeq) return;
      syncedSeq = seq;
      if (waitingSinceMs !== undefined) return;
      waitingSinceMs = clock.monotonicMs();
      if (timer === undefined) arm(graceMs);
    },
    noteTold() {
      told = { seq: syncedSeq, atMs: clock.monotonicMs() };
    },
    noteSigned(size) {
      signedSeq = Math.max(signedSeq, size);
      if (size >= syncedSeq) waitingSinceMs = undefined;
      // What is still unsigned was synced after the notary was last told.
      else if (size >= told.seq) waitingSinceMs = told.atMs;
      if (!isLate || unsignedMs() >= graceMs) return;
      isLate = false;
      deps.over();
      if (waitingSinceMs !== undefined && timer === undefined) arm(graceMs);
    },
    signedSeq: () => signedSeq,
    unsignedMs,
    isLate: () => isLate,
    stop: () => clearTimeout(timer),
  };
}
