/**
 * Checkpoints and proofs of logs that other nodes write, from what they left in the database: the last witnessed
 * checkpoint of the log, and the leaves in its rows. Nothing is given out that does not lead to the witnessed root;
 * whose signature that is, the asker checks with that node's key. Asked by AuditService.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { AuditStore, StoredCheckpoint } from "../../storage/store.ts";
import { parseEnvelope } from "../envelope.ts";
import { readStoredLeaves } from "../stored-leaves.ts";
import { findBootCertificate, renderBootCertificate } from "./boot-certificate.ts";
import { originOf, parseCheckpoint, type SignedCheckpoint } from "./checkpoint.ts";
import { EvidenceError } from "./evidence-error.ts";
import { parseVerifierKey } from "./keys.ts";
import { createMemoryDisk } from "./memory-disk.ts";
import { renderNote, type SignedNote } from "./note.ts";
import { renderProof } from "./proof.ts";
import type { CheckpointView, ProofView } from "./proving.ts";
import { createTileReader, openTileTree } from "./tiles.ts";
import { isSame, type NodeReader, proveConsistency, proveInclusion, rootAt } from "./tree.ts";

export interface StoredProofs {
  /** Undefined where no checkpoint of the log was witnessed. */
  checkpoint(logId: string): Promise<CheckpointView | undefined>;
  /** Rejects with GatewayError `not-signed-yet` where it cannot be proved here. */
  prove(logId: string, seq: number, oldSize: number | undefined): Promise<ProofView>;
}

/** All leaves are read for a proof, some 20,000 a second; of a longer log its own node is asked. */
const recordsMax = 100_000;
/** Of the tree in memory. */
const dir = "/tree";
const leavesPerRead = 1000;

export function createStoredProofs(deps: {
  readonly store: Pick<AuditStore, "scan">;
  readonly witnessed: (logId: string) => Promise<StoredCheckpoint | undefined>;
  readonly recordsMax?: number;
}): StoredProofs {
  const { store, witnessed } = deps;

  async function toView(logId: string, checkpoint: SignedCheckpoint): Promise<CheckpointView> {
    const { size, note, root } = checkpoint;
    return {
      note: renderNote(note),
      size,
      root: Buffer.from(root).toString("hex"),
      certificate: await findCertificate(logId, size, note),
    };
  }

  /** Of the life that signed: it stands in that life's first record, the last such one under the checkpoint. */
  async function findCertificate(logId: string, size: number, { signatures }: SignedNote) {
    const { rows } = await store.scan({
      filter: { event: "lifecycle.started" },
      after: { logId, seq: size + 1 },
      limit: 1,
      order: "descending",
    });
    const [row] = rows;
    const facts = row?.logId === logId ? parseEnvelope(row.envelope ?? "")?.facts : undefined;
    const certificate = facts && findBootCertificate(facts);
    if (certificate === undefined) return undefined;
    try {
      const { id } = parseVerifierKey(certificate.bootKey);
      const isOfSigner = signatures.some(({ keyId }) => keyId === id);
      return isOfSigner ? renderBootCertificate(certificate) : undefined;
    } catch (error) {
      if (error instanceof EvidenceError) return undefined;
      throw error;
    }
  }

  async function last(logId: string): Promise<SignedCheckpoint | undefined> {
    const found = await witnessed(logId);
    const checkpoint = found && parseCheckpoint(found.note);
    if (checkpoint === undefined || checkpoint.origin === originOf(logId)) return checkpoint;
    throw new EvidenceError(`the database's checkpoint of it is of ${checkpoint.origin}`);
  }

  async function prove(
    logId: string,
    seq: number,
    oldSize: number | undefined,
  ): Promise<ProofView> {
    const checkpoint = await last(logId);
    const size = checkpoint?.size ?? 0;
    if (checkpoint === undefined || size < Math.max(seq, oldSize ?? 0)) {
      throw new EvidenceError(`its last witnessed checkpoint covers ${size} records`);
    }
    if (size > (deps.recordsMax ?? recordsMax)) {
      throw new EvidenceError(`it has ${size} records, too many to be proved from the database`);
    }
    const node = await readTree(logId, checkpoint);
    const index = seq - 1;
    const hashes = proveInclusion(index, size, node);
    const view = await toView(logId, checkpoint);
    const { certificate, note } = view;
    const extra = certificate === undefined ? undefined : Buffer.from(certificate);
    return {
      text: renderProof({ index, hashes, checkpoint: note, extra }),
      index,
      leaf: toHex(node(0, index)),
      consistency: oldSize === undefined ? [] : proveConsistency(oldSize, size, node).map(toHex),
      checkpoint: view,
    };
  }

  async function readTree(logId: string, { size, root }: SignedCheckpoint): Promise<NodeReader> {
    const disk = createMemoryDisk();
    const tree = openTileTree(disk, dir, 0);
    for (let seq = 0; seq < size; seq = tree.size()) {
      const until = Math.min(seq + leavesPerRead, size);
      for (const leaf of await readStoredLeaves(store, logId, seq, until)) tree.append(leaf);
    }
    tree.save();
    const node = createTileReader(disk, dir, size);
    if (isSame(rootAt(size, node), root)) return node;
    throw new EvidenceError(`the database's first ${size} records of it are not those witnessed`);
  }

  const ask = async <T>(logId: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      const advice = `ask the node that writes it, whose log_id is ${logId}`;
      const why = `Log ${logId} is another node's, and ${error.message}: ${advice}`;
      throw new GatewayError("not-signed-yet", why);
    }
  };

  return {
    checkpoint: (logId) =>
      ask(logId, async () => {
        const found = await last(logId);
        return found && (await toView(logId, found));
      }),
    prove: (logId, seq, oldSize) => ask(logId, () => prove(logId, seq, oldSize)),
  };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
