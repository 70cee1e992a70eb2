/**
 * The part of AuditService that hands out evidence: this node's latest checkpoint, and proofs that a record is in its
 * log, in the texts of C2SP which a stranger checks offline. An operator of a tenant gets proofs of the tenant's own
 * records alone. Logs of other nodes are proved by those nodes, which have their trees.
 */
import type { AuditLog } from "../../audit/record.ts";
import { GatewayError } from "../../errors/fault.ts";
import type { AuditService, CheckpointEvidence } from "../../gen/types.ts";
import type { AuditStore } from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import { otherTenant } from "../tenants.ts";

/** What the notary gives out, as far as this service needs it. */
export interface EvidenceSource {
  checkpoint(): CheckpointFacts | undefined;
  /** Waits a moment for the checkpoint that covers the record. */
  prove(seq: number, oldSize: number | undefined): Promise<ProofFacts>;
}

interface CheckpointFacts {
  readonly note: string;
  readonly size: number;
  readonly root: string;
  readonly certificate: string | undefined;
}

interface ProofFacts {
  readonly text: string;
  readonly index: number;
  readonly leaf: string;
  readonly consistency: readonly string[];
  readonly checkpoint: CheckpointFacts;
}

export interface AuditEvidenceDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly log: Pick<AuditLog, "status">;
  /** Undefined where nothing is signed on this node. */
  readonly evidence: EvidenceSource | undefined;
}

export function createAuditEvidence(
  deps: AuditEvidenceDeps,
): Pick<AuditService<Caller>, "getCheckpoint" | "getProof"> {
  return {
    async getCheckpoint(request) {
      needOwnLog(deps, request.log_id);
      const checkpoint = needEvidence(deps).checkpoint();
      if (checkpoint === undefined) {
        throw new GatewayError("not-signed-yet", "Nothing was signed yet: ask again in a second");
      }
      return { checkpoint: toMessage(deps, checkpoint) };
    },
    async getProof(request, caller) {
      needOwnLog(deps, request.log_id);
      const { seq } = request;
      await needOwnRecord(deps, seq, caller);
      const proof = await needEvidence(deps).prove(seq, toOldSize(deps, request.old_size));
      return {
        proof: proof.text,
        index: proof.index,
        leaf: proof.leaf,
        consistency: proof.consistency,
        checkpoint: toMessage(deps, proof.checkpoint),
      };
    },
  };
}

function needEvidence({ evidence }: AuditEvidenceDeps): EvidenceSource {
  if (evidence !== undefined) return evidence;
  throw new GatewayError("not-signed-yet", "This node signs nothing: its log has no notary");
}

function needOwnLog({ log }: AuditEvidenceDeps, logId: string): void {
  const own = log.status().logId;
  if (logId === "" || logId === own) return;
  const advice = `this node keeps the tree of ${own}; ask the node that writes the other`;
  throw new GatewayError("resource-not-found", `log_id: ${advice}`, { reason: "other-log" });
}

/**
 * A record of another tenant, or of none, is to an operator of a tenant as if it were not there; so is one of theirs
 * until the database has it, which knows whose it is.
 */
async function needOwnRecord(
  { store, log }: AuditEvidenceDeps,
  seq: number,
  { tenant }: Caller,
): Promise<void> {
  const { logId, syncedSeq } = log.status();
  if (tenant === undefined) {
    if (seq < 1 || seq > syncedSeq) throw noRecord("not-found");
    return;
  }
  const page = await store.scan({
    filter: { tenant },
    after: { logId, seq: seq - 1 },
    limit: 1,
    order: "ascending",
    includePruned: true,
  });
  const [row] = page.rows;
  if (row?.logId !== logId || row.seq !== seq) throw noRecord(otherTenant);
}

function noRecord(reason: string): GatewayError {
  return new GatewayError("resource-not-found", "seq: this log has no such record", { reason });
}

function toOldSize({ log }: AuditEvidenceDeps, given: number | undefined): number | undefined {
  if (given === undefined || (given >= 0 && given <= log.status().syncedSeq)) return given;
  throw new GatewayError("invalid-params", "old_size: must be the size of an older checkpoint");
}

function toMessage(
  { log }: AuditEvidenceDeps,
  { note, size, root, certificate }: CheckpointFacts,
): CheckpointEvidence {
  return { log_id: log.status().logId, note, size, root, certificate: certificate ?? "" };
}
