/**
 * Readers of the copy who want to find in it what was synced when they asked: they hurry the shipper, which otherwise
 * collects. Used by `log.ts`.
 */
import type { Shipper } from "./shipper.ts";

export interface CatchingUp {
  /**
   * Resolves once the database holds everything synced by now; earlier where it is away, and after `withinMs` in any
   * case. Never rejects.
   */
  wait(withinMs: number): Promise<void>;
  /** The database holds everything up to `seq`. */
  noteCopied(seq: number): void;
}

export interface CatchingUpDeps {
  readonly shipper: () => Pick<Shipper, "wake" | "isAway" | "shippedSeq"> | undefined;
  readonly syncedSeq: () => number;
}

interface Reader {
  readonly seq: number;
  readonly done: () => void;
}

export function createCatchingUp({ shipper, syncedSeq }: CatchingUpDeps): CatchingUp {
  const readers = new Set<Reader>();

  async function wait(withinMs: number): Promise<void> {
    const shipping = shipper();
    const seq = syncedSeq();
    if (shipping === undefined || shipping.isAway() || shipping.shippedSeq() >= seq) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const reader: Reader = { seq, done: resolve };
    readers.add(reader);
    const timer = setTimeout(resolve, withinMs);
    shipping.wake(true);
    await promise;
    clearTimeout(timer);
    readers.delete(reader);
  }

  function noteCopied(seq: number): void {
    for (const reader of readers) if (reader.seq <= seq) reader.done();
  }

  return { wait, noteCopied };
}
