/**
 * Wall-clock time that never runs backwards. Expiry is judged by it, so setting the machine's clock back does not
 * bring expired credentials to life again (fault AN-09). Used by the authenticator and the JWT verifier.
 */
import type { Clock } from "../lib/clock.ts";

/** A clock that is behind by more than this was set back; less is drift, and a step of its correction. */
const jumpMs = 5_000;

/**
 * A reader of milliseconds since the epoch: the later of the wall clock and what it said before, moved on.
 * `onJump` is told once when the wall clock falls behind, and again when it has caught up and falls behind anew.
 */
export function createSteadyTime(clock: Clock, onJump?: (behindMs: number) => void): () => number {
  let steadyMs = clock.nowMs();
  let monotonicMs = clock.monotonicMs();
  let isBehind = false;
  return () => {
    const nowMonotonicMs = clock.monotonicMs();
    const wallMs = clock.nowMs();
    steadyMs = Math.max(wallMs, steadyMs + (nowMonotonicMs - monotonicMs));
    monotonicMs = nowMonotonicMs;
    const wasBehind = isBehind;
    isBehind = steadyMs - wallMs > jumpMs;
    if (isBehind && !wasBehind) onJump?.(steadyMs - wallMs);
    return steadyMs;
  };
}
