/**
 * The part of AuditService that hands out evidence: a log's latest checkpoint, and proofs that a record is in that log,
 * in the texts of C2SP which a stranger checks offline. An operator of a tenant gets proofs of the tenant's own
 * records alone. Logs of other nodes are answered for as far as the database remembers them.
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

/** The same of any log in the database. */
export interface StoredEvidenceSource {
  checkpoint(logId: string): Promise<CheckpointFacts | undefined>;
  prove(logId: string, seq: number, oldSize: number | undefined): Promise<ProofFacts>;
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
  readonly stored: StoredEvidenceSource;
}

export function createAuditEvidence(
  deps: AuditEvidenceDeps,
): Pick<AuditService<Caller>, "getCheckpoint" | "getProof"> {
  return {
    async getCheckpoint(request) {
      const { logId, isOwn } = toLog(deps, request.log_id);
      const checkpoint = isOwn
        ? needEvidence(deps).checkpoint()
        : await deps.stored.checkpoint(logId);
      if (checkpoint !== undefined) return { checkpoint: toMessage(logId, checkpoint) };
      throw isOwn
        ? new GatewayError("not-signed-yet", "Nothing was signed yet: ask again in a second")
        : noLog(logId);
    },
    async getProof(request, caller) {
      const { logId, isOwn } = toLog(deps, request.log_id);
      const { seq } = request;
      await needRecord(deps, logId, seq, caller);
      const oldSize = toOldSize(request.old_size, isOwn ? deps.log.status().syncedSeq : undefined);
      const proof = isOwn
        ? await needEvidence(deps).prove(seq, oldSize)
        : await deps.stored.prove(logId, seq, oldSize);
      return {
        proof: proof.text,
        index: proof.index,
        leaf: proof.leaf,
        consistency: proof.consistency,
        checkpoint: toMessage(logId, proof.checkpoint),
      };
    },
  };
}

function needEvidence({ evidence }: AuditEvidenceDeps): EvidenceSource {
  if (evidence !== undefined) return evidence;
  throw new GatewayError("not-signed-yet", "This node signs nothing: its log has no notary");
}

function toLog({ log }: AuditEvidenceDeps, asked: string) {
  const own = log.status().logId;
  const logId = asked === "" ? own : asked;
  return { logId, isOwn: logId === own };
}

function noLog(logId: string): GatewayError {
  const advice = `no checkpoint of ${logId} is in the database; ask the node that writes that log`;
  return new GatewayError("resource-not-found", `log_id: ${advice}`, { reason: "other-log" });
}

/**
 * A record of another tenant, or of none, is to an operator of a tenant as if it were not there; so is one of theirs
 * until the database has it, which knows whose it is.
 */
async function needRecord(
  { store, log }: AuditEvidenceDeps,
  logId: string,
  seq: number,
  { tenant }: Caller,
): Promise<void> {
  const own = log.status();
  if (tenant === undefined && logId === own.logId) {
    if (seq < 1 || seq > own.syncedSeq) throw noRecord("not-found");
    return;
  }
  const page = await store.scan({
    filter: tenant === undefined ? {} : { tenant },
    after: { logId, seq: seq - 1 },
    limit: 1,
    order: "ascending",
    includePruned: true,
  });
  const [row] = page.rows;
  if (row?.logId !== logId || row.seq !== seq) {
    throw noRecord(tenant === undefined ? "not-found" : otherTenant);
  }
}

function noRecord(reason: string): GatewayError {
  return new GatewayError("resource-not-found", "seq: this log has no such record", { reason });
}

function toOldSize(given: number | undefined, sizeMax = Infinity): number | undefined {
  if (given === undefined || (given >= 0 && given <= sizeMax)) return given;
  throw new GatewayError("invalid-params", "old_size: must be the size of an older checkpoint");
}

function toMessage(
  logId: string,
  { note, size, root, certificate }: CheckpointFacts,
): CheckpointEvidence {
  return { log_id: logId, note, size, root, certificate: certificate ?? "" };
}
