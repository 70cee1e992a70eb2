/**
 * What an export carries so that strangers can believe it: this node's latest checkpoint, the certificates of its boot
 * keys, and proofs that single records are in the tree of that checkpoint, read from the node's own tiles. Nothing is
 * handed out before the database's copy has reached the checkpoint, or the export would look cut.
 */
import { join } from "node:path";
import { evidenceFolder, readCheckpoint } from "./evidence/checkpoint-file.ts";
import { realEvidenceDisk } from "./evidence/disk.ts";
import { renderNote } from "./evidence/note.ts";
import { toBase64 } from "./evidence/spelling.ts";
import { createTileReader } from "./evidence/tiles.ts";
import { type NodeReader, proveInclusion } from "./evidence/tree.ts";

export interface LogProofs {
  readonly logId: string;
  /** The signed note, and how many records it covers. */
  readonly checkpoint: string;
  readonly size: number;
  /** Signed notes. */
  readonly certificates: readonly string[];
  /** Base64 hashes from the record's leaf upwards; undefined for a record that is not covered yet. */
  prove(seq: number): readonly string[] | undefined;
}

/** This node's proofs; undefined where nothing was signed yet. */
export type ProofSource = () => Promise<LogProofs | undefined>;

/** Proofs after which the tiles read for them are let go. */
const proofsPerReader = 2000;

export function createProofSource(deps: {
  readonly dataDir: string;
  readonly logId: string;
  /** Resolves once the database's copy holds what is synced by now. */
  readonly untilCopied: () => Promise<void>;
}): ProofSource {
  const dir = evidenceFolder(deps.dataDir);
  return async () => {
    const found = readCheckpoint(dir);
    if (found === undefined) return undefined;
    const { size } = found;
    await deps.untilCopied();
    const folder = join(dir, "certificates");
    const certificates = realEvidenceDisk
      .list(folder)
      .map((name) => realEvidenceDisk.read(join(folder, name))?.toString() ?? "");
    return {
      logId: deps.logId,
      checkpoint: renderNote(found.note),
      size,
      certificates,
      prove: createProver(dir, size),
    };
  };
}

function createProver(dir: string, size: number): LogProofs["prove"] {
  let node: NodeReader = createTileReader(realEvidenceDisk, dir, size);
  let made = 0;
  return (seq) => {
    if (seq > size) return undefined;
    made += 1;
    if (made % proofsPerReader === 0) node = createTileReader(realEvidenceDisk, dir, size);
    return proveInclusion(seq - 1, size, node).map(toBase64);
  };
}
