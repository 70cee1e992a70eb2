/**
 * The calling thread's side of shredding: one request at a time, answered by the spool's thread. Used by `spool.ts`.
 */
import { unavailable } from "./callers.ts";

export interface Shredding {
  /** Resolves with how many records lost their sealed part. A second call waits for the first. */
  shred(keys: readonly string[]): Promise<number>;
  done(frames: number): void;
  /** Rejects the request under way; `isLast`: every later one as well. */
  failed(reason: string, isLast?: boolean): void;
}

export function createShredding(post: (keys: readonly string[]) => void): Shredding {
  let current: PromiseWithResolvers<number> | undefined;
  let failure: string | undefined;

  async function shred(keys: readonly string[]): Promise<number> {
    while (current !== undefined) await current.promise.catch(() => 0);
    if (failure !== undefined) throw unavailable(failure);
    const own = Promise.withResolvers<number>();
    current = own;
    post(keys);
    return await own.promise.finally(() => {
      current = undefined;
    });
  }

  return {
    shred,
    done: (frames) => current?.resolve(frames),
    failed(reason, isLast = false) {
      if (isLast) failure ??= reason;
      current?.reject(unavailable(reason));
    },
  };
}
