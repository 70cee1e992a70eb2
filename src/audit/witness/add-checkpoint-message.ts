/**
 * The request of c2sp.org/tlog-witness as text, both ways: `old <size>`, the consistency proof, an empty line, the
 * checkpoint. Used by the client (`external-witness.ts`) and the server (`add-checkpoint.ts`).
 */
import { EvidenceError } from "../evidence/evidence-error.ts";
import { fromBase64, fromDecimal, toBase64 } from "../evidence/spelling.ts";
import { hashBytes } from "../evidence/tree.ts";

export interface AddCheckpointRequest {
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  /** The signed note, as text. */
  readonly checkpoint: string;
}

const proofLinesMax = 63;

export function renderAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpointRequest): string {
  const lines = proof.map((hash) => `${toBase64(hash)}\n`).join("");
  return `old ${oldSize}\n${lines}\n${checkpoint}`;
}

/** Throws an EvidenceError that says what is wrong with it. */
export function parseAddCheckpoint(body: string): AddCheckpointRequest {
  const split = body.indexOf("\n\n");
  if (split === -1) throw new EvidenceError("an empty line must stand before the checkpoint");
  const [first = "", ...hashes] = body.slice(0, split).split("\n");
  if (!first.startsWith("old ")) throw new EvidenceError("the first line must read: old <size>");
  if (hashes.length > proofLinesMax) {
    throw new EvidenceError(`a proof may have ${proofLinesMax} lines at most`);
  }
  const proof = hashes.map((line) => fromBase64(line, "a line of the proof"));
  if (proof.some((hash) => hash.length !== hashBytes)) {
    throw new EvidenceError(`each line of the proof must be ${hashBytes} bytes`);
  }
  return {
    oldSize: fromDecimal(first.slice(4), "the old size"),
    proof,
    checkpoint: body.slice(split + 2),
  };
}
