/**
 * Wall-clock time that never runs backwards. Expiry is judged by it, so setting the machine's clock back does not
 * bring expired credentials to life again (fault AN-09). Used by the authenticator and the JWT verifier.
 */
import type { Clock } from "../lib/clock.ts";

/** A reader of milliseconds since the epoch: the later of the wall clock and what it said before, moved on. */
export function createSteadyTime(clock: Clock): () => number {
  let wallMs = clock.nowMs();
  let monotonicMs = clock.monotonicMs();
  return () => {
    const nowMonotonicMs = clock.monotonicMs();
    wallMs = Math.max(clock.nowMs(), wallMs + (nowMonotonicMs - monotonicMs));
    monotonicMs = nowMonotonicMs;
    return wallMs;
  };
}
