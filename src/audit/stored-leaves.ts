/**
 * A log's leaves as the database has them: they stay when retention empties a row, and when the spool's segments are
 * gone. Taken at their word; whoever asks holds the tree over them against a signed root. Asked by
 * `evidence/rebuild.ts` and `evidence/stored-proofs.ts`.
 */
import type { AuditStore } from "../storage/store.ts";
import { EvidenceError } from "./evidence/evidence-error.ts";

const pageRows = 1000;

/** Hex leaves of the records after `after` up to `until`; rejects with an EvidenceError where one is missing. */
export async function readStoredLeaves(
  store: Pick<AuditStore, "scan">,
  logId: string,
  after: number,
  until: number,
): Promise<readonly string[]> {
  const leaves: string[] = [];
  while (after + leaves.length < until) {
    const seq = after + leaves.length;
    const { rows } = await store.scan({
      filter: {},
      after: { logId, seq },
      limit: Math.min(pageRows, until - seq),
      order: "ascending",
      includePruned: true,
    });
    if (rows.length === 0) throw missing(seq + 1);
    for (const row of rows) {
      const wanted = after + leaves.length + 1;
      if (row.logId !== logId || row.seq !== wanted) throw missing(wanted);
      leaves.push(row.leaf);
    }
  }
  return leaves;
}

function missing(seq: number): EvidenceError {
  return new EvidenceError(`the database does not hold record ${seq}`);
}
