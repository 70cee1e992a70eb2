/**
 * Says of a record of this node's log whether those who verify find it signed: at the spool by the checkpoint beside it,
 * at the database by the one it remembers. What is ordered away goes only after. Called by `parts.ts`.
 */
import type { OpenAuditLog } from "../audit/log.ts";
import type { IsWitnessed } from "../retention/orders.ts";
import type { CheckpointStore } from "../storage/store.ts";

export function createIsWitnessed(deps: {
  readonly audit: Pick<OpenAuditLog, "evidence">;
  /** Undefined where another database is this log's witness: then the records' own holds no checkpoint. */
  readonly checkpoints: Pick<CheckpointStore, "last"> | undefined;
}): IsWitnessed {
  const { audit, checkpoints } = deps;
  return async ({ logId, seq }) => {
    // Nothing is signed in such a log, and nothing asked for.
    if (audit.evidence === undefined) return true;
    if (audit.evidence.signedSeq() < seq) return false;
    if (checkpoints === undefined) return true;
    const last = await checkpoints.last(logId);
    return last !== undefined && last.size >= seq;
  };
}
