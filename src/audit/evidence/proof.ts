/**
 * Proofs that travel (c2sp.org/tlog-proof): one text with a leaf's index, its way up to the root, and the signed
 * checkpoint of that root. With the log's key and the record's leaf a stranger checks it offline. The `extra` line
 * carries the certificate of the boot key that signed (`boot-certificate.ts`), so the node's key is all one must know.
 */
import { parseCheckpoint, type SignedCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { EvidenceError } from "./evidence-error.ts";
import type { VerifierKey } from "./keys.ts";
import { fromBase64, fromDecimal, toBase64 } from "./spelling.ts";
import { hashBytes, isSame, rootOfInclusion } from "./tree.ts";

export interface Proof {
  /** Zero-based: the record's sequence number less one. */
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  /** The signed note. */
  readonly checkpoint: string;
  readonly extra?: Uint8Array | undefined;
}

const firstLine = "c2sp.org/tlog-proof@v1";
/** A way up is never longer: trees have at most 2^53 leaves. */
const hashesMax = 53;
const proofCharsMax = 128 * 1024;

export function renderProof({ index, hashes, checkpoint, extra }: Proof): string {
  const extraLine = extra === undefined ? "" : `extra ${toBase64(extra)}\n`;
  const hashLines = hashes.map((hash) => `${toBase64(hash)}\n`).join("");
  return `${firstLine}\n${extraLine}index ${index}\n${hashLines}\n${checkpoint}`;
}

/** Reads a proof without trusting it; throws an EvidenceError that says what is wrong with it. */
export function parseProof(text: string): Proof {
  if (text.length > proofCharsMax) {
    throw new EvidenceError(`a proof may have ${proofCharsMax} characters at most`);
  }
  const split = text.indexOf("\n\n");
  if (split === -1)
    throw new EvidenceError("a proof must have an empty line before its checkpoint");
  const [first, ...lines] = text.slice(0, split).split("\n");
  if (first !== firstLine) throw new EvidenceError(`a proof must begin with ${firstLine}`);
  const extraLine = lines[0]?.startsWith("extra ") ? lines.shift() : undefined;
  const indexLine = lines.shift() ?? "";
  if (!indexLine.startsWith("index ")) throw new EvidenceError("a proof must have an index line");
  if (lines.length > hashesMax) {
    throw new EvidenceError(`a proof may have ${hashesMax} hashes at most`);
  }
  const checkpoint = text.slice(split + 2);
  parseCheckpoint(checkpoint);
  return {
    index: fromDecimal(indexLine.slice("index ".length), "a proof's index"),
    hashes: lines.map(parseHash),
    checkpoint,
    extra: extraLine === undefined ? undefined : fromBase64(extraLine.slice(6), "a proof's extra"),
  };
}

function parseHash(line: string): Uint8Array {
  const hash = fromBase64(line, "a proof's hash");
  if (hash.length !== hashBytes) throw new EvidenceError("a proof's hash must be 32 bytes");
  return hash;
}

/**
 * Checks that `leaf` is in the log of `origin` at the proof's index, by a checkpoint that one of `keys` signed; throws
 * an EvidenceError that says where it fails.
 */
export function verifyProof(
  proof: Proof,
  leaf: Uint8Array,
  origin: string,
  keys: readonly VerifierKey[],
): SignedCheckpoint {
  const checkpoint = verifyCheckpoint(proof.checkpoint, origin, keys);
  const { index, hashes } = proof;
  const root = rootOfInclusion({ index, size: checkpoint.size, leaf, proof: hashes });
  if (root !== undefined && isSame(root, checkpoint.root)) return checkpoint;
  throw new EvidenceError(`the proof does not lead from this leaf to the root of its checkpoint`);
}
