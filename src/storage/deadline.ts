/**
 * A deadline for one use of a database connection. It is ours and not the driver's, because a frozen database
 * answers nothing at all, not even a cancellation. Used by both dialects.
 */
import { StoreError } from "./store.ts";

export interface Deadline {
  readonly expired: boolean;
  /** Settles as `work` does, or rejects with kind "unavailable" once the time is up. */
  race<T>(work: Promise<T>): Promise<T>;
  clear(): void;
}

/** Starts the clock. `onExpire` runs once, when the time is up, before waiting work is rejected. */
export function createDeadline(
  database: string,
  timeoutMs: number,
  onExpire: () => void = () => {},
): Deadline {
  const expiry = Promise.withResolvers<never>();
  // Nobody may be racing when the time is up; that is not an unhandled rejection.
  expiry.promise.catch(() => {});
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    onExpire();
    expiry.reject(
      new StoreError("unavailable", `${database} did not answer within ${timeoutMs} ms`),
    );
  }, timeoutMs);
  return {
    get expired() {
      return expired;
    },
    race: (work) => Promise.race([work, expiry.promise]),
    clear: () => clearTimeout(timer),
  };
}
