/**
 * The calling thread's side of shredding and of looking for what it would empty: of each one request at a time, answered
 * by the spool's thread. Used by `spool.ts`.
 */
import { unavailable } from "./callers.ts";
import type { FromSpool, Look, SealedPage, ToSpool } from "./messages.ts";

export interface Shredding {
  /** Resolves with how many records lost their sealed part. A second call waits for the first. */
  shred(keys: readonly string[]): Promise<number>;
  /** A page of the records that shredding would empty. */
  sealedUnder(keys: readonly string[], look: Look): Promise<SealedPage>;
  answered(answer: Answer): void;
  /** Rejects what is under way, and every later request. */
  end(reason: string): void;
}

type Answer = FromSpool & {
  readonly kind: "shredded" | "not-shredded" | "looked" | "not-looked";
};

export function createShredding(post: (request: ToSpool) => void): Shredding {
  const shreds = createAsking<number>();
  const looks = createAsking<SealedPage>();
  return {
    shred: (keys) => shreds.ask(() => post({ kind: "shred", keys })),
    sealedUnder: (keys, look) => looks.ask(() => post({ kind: "look", keys, ...look })),
    answered(answer) {
      switch (answer.kind) {
        case "shredded":
          return shreds.resolve(answer.frames);
        case "not-shredded":
          return shreds.reject(answer.reason);
        case "looked":
          return looks.resolve({ found: answer.found, seq: answer.seq });
        case "not-looked":
          return looks.reject(answer.reason);
        default:
          answer satisfies never;
      }
    },
    end(reason) {
      shreds.end(reason);
      looks.end(reason);
    },
  };
}

/** One request at a time: an answer does not say which it is to. */
function createAsking<T>() {
  let current: PromiseWithResolvers<T> | undefined;
  let ended: string | undefined;

  async function ask(post: () => void): Promise<T> {
    while (current !== undefined) await current.promise.catch(() => {});
    if (ended !== undefined) throw unavailable(ended);
    const own = Promise.withResolvers<T>();
    current = own;
    post();
    return await own.promise.finally(() => {
      current = undefined;
    });
  }

  const reject = (reason: string) => current?.reject(unavailable(reason));
  return {
    ask,
    resolve: (answer: T) => current?.resolve(answer),
    reject,
    end(reason: string) {
      ended ??= reason;
      reject(reason);
    },
  };
}
