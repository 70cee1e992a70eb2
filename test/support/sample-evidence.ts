/**
 * A log's status and evidence for services under test: one checkpoint of five records, and a proof for each number. The
 * texts are no real proofs. No assertions.
 */
import type {
  EvidenceSource,
  StoredEvidenceSource,
} from "../../src/admin/services/audit-evidence.ts";
import type { AuditLogStatus } from "../../src/audit/record.ts";

export const sampleLogStatus: AuditLogStatus = {
  logId: "log-1",
  syncedSeq: 5,
  shippedSeq: 5,
  spoolBytes: 0,
  writable: true,
  dropped: 0,
};

/** A database that remembers no checkpoint of any log. */
export const nothingStored: StoredEvidenceSource = {
  checkpoint: async () => undefined,
  prove: async () => {
    throw new Error("nothing is stored");
  },
};

export function createSampleEvidence(): EvidenceSource {
  const checkpoint = { note: "a note", size: 5, root: "00", certificate: "a certificate" };
  return {
    checkpoint: () => checkpoint,
    prove: async (seq, oldSize) => ({
      text: `a proof of ${seq}`,
      index: seq - 1,
      leaf: "11",
      consistency: oldSize === undefined ? [] : [`from ${oldSize}`],
      checkpoint,
    }),
  };
}
