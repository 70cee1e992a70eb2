/**
 * The calling thread's side of shredding: one request at a time, answered by the spool's thread. Used by `spool.ts`.
 */
import { unavailable } from "./callers.ts";
import type { FromSpool, Look, SealedPage, ShredRequest } from "./messages.ts";

export interface Shredding {
  /** Resolves with how many records lost their sealed part. A second call waits for the first. */
  shred(keys: readonly string[]): Promise<number>;
  /** A page of the records that shredding would empty. */
  sealedUnder(keys: readonly string[], look: Look): Promise<SealedPage>;
  done(answer: Answer): void;
  /** Rejects the request under way; `isLast`: every later one as well. */
  failed(reason: string, isLast?: boolean): void;
}

type Answer = FromSpool & { readonly kind: "shredded" };

export function createShredding(post: (request: ShredRequest) => void): Shredding {
  let current: PromiseWithResolvers<Answer> | undefined;
  let failure: string | undefined;

  async function ask(request: ShredRequest): Promise<Answer> {
    while (current !== undefined) await current.promise.catch(() => {});
    if (failure !== undefined) throw unavailable(failure);
    const own = Promise.withResolvers<Answer>();
    current = own;
    post(request);
    return await own.promise.finally(() => {
      current = undefined;
    });
  }

  return {
    shred: async (keys) => (await ask({ keys })).frames,
    sealedUnder: (keys, look) => ask({ keys, look }),
    done: (answer) => current?.resolve(answer),
    failed(reason, isLast = false) {
      if (isLast) failure ??= reason;
      current?.reject(unavailable(reason));
    },
  };
}
