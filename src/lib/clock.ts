/**
 * The one place that reads the clock. Everything else is handed a `Clock`, so tests can hold time still.
 * Deadlines and TTLs use `monotonicMs`, which never jumps; records and expiry claims use `nowMs`.
 */
export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin, never going backwards. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
