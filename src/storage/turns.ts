/**
 * One at a time, in order of arrival, with a bound on how many wait. SQLite has one connection, so a transaction
 * holds the turn from begin to commit. Used by `sqlite.ts`.
 */
import { StoreError } from "./store.ts";

export interface Turns {
  /** Resolves when it is the caller's turn; `leave` must follow. Rejects where too many wait. */
  enter(): Turn;
  leave(): void;
}

export interface Turn {
  readonly ready: Promise<void>;
  /** Gives up waiting. A turn that came already is passed on. */
  abandon(): void;
}

export function createTurns(waitersMax: number): Turns {
  const waiting = new Set<() => void>();
  let taken = false;
  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) {
      taken = false;
      return;
    }
    waiting.delete(next);
    next();
  };
  return {
    leave,
    enter() {
      if (!taken) {
        taken = true;
        return { ready: Promise.resolve(), abandon: leave };
      }
      if (waiting.size >= waitersMax) {
        throw new StoreError("unavailable", `${waitersMax} operations wait for SQLite already`);
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const proceed = (): void => resolve();
      waiting.add(proceed);
      return {
        ready: promise,
        abandon: () => {
          if (!waiting.delete(proceed)) leave();
        },
      };
    },
  };
}
