/**
 * What those who take something out of the log need to know of those who verify it: whether a record is found signed, at
 * the spool by the checkpoint beside it and at the database by the one it remembers; and when the verifications and
 * exports under way have ended. Made by `parts.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { OpenAuditLog } from "../audit/log.ts";
import type { Verifying } from "../retention/orders.ts";
import type { CheckpointStore } from "../storage/store.ts";

export interface OpenVerifying extends Verifying {
  /** Somebody reads the log, its orders first: nothing ordered from now on is taken out before that is disposed of. */
  begin(): Disposable;
}

/** Longer than that nobody's records stay for a verification: it may then miss an order. */
const patienceMs = 10 * 60_000;

export function createVerifying(deps: {
  readonly audit: Pick<OpenAuditLog, "evidence">;
  /** Undefined where another database is this log's witness: then the records' own holds no checkpoint. */
  readonly checkpoints: Pick<CheckpointStore, "last"> | undefined;
}): OpenVerifying {
  const { audit, checkpoints } = deps;
  const reading = new Set<Promise<void>>();
  return {
    async isWitnessed({ logId, seq }) {
      // Nothing is signed in such a log, and nothing asked for.
      if (audit.evidence === undefined) return true;
      if (audit.evidence.signedSeq() < seq) return false;
      if (checkpoints === undefined) return true;
      const last = await checkpoints.last(logId);
      return last !== undefined && last.size >= seq;
    },
    async untilRead() {
      if (reading.size === 0) return;
      const patience = new AbortController();
      const { signal } = patience;
      const late = sleep(patienceMs, undefined, { ref: false, signal }).catch(() => {});
      await Promise.race([Promise.all(reading), late]);
      patience.abort();
    },
    begin() {
      const { promise, resolve } = Promise.withResolvers<void>();
      reading.add(promise);
      return {
        [Symbol.dispose]() {
          reading.delete(promise);
          resolve();
        },
      };
    },
  };
}
