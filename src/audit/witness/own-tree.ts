/**
 * This node's tree as its folder of evidence has it: the latest checkpoint, what proves it, and its leaves. Read from the
 * files alone, by the witness's thread and by a start that asks witnesses how far the log had come.
 */
import { originOf, type SignedCheckpoint } from "../evidence/checkpoint.ts";
import { readCheckpoint } from "../evidence/checkpoint-file.ts";
import { realEvidenceDisk } from "../evidence/disk.ts";
import { parseSigningKey, type SigningKey } from "../evidence/keys.ts";
import { nodeKeyPath } from "../evidence/node-key.ts";
import { renderNote, signText } from "../evidence/note.ts";
import { createTileReader, readLeaves } from "../evidence/tiles.ts";
import { proveConsistency, rootAt } from "../evidence/tree.ts";
import type { WitnessedTree } from "./witness.ts";

export interface OwnTree extends WitnessedTree {
  readonly checkpoint: SignedCheckpoint;
  /** Hex leaves of the records from `from` to `to`; throws where the tiles are not sound. */
  leaves(from: number, to: number): readonly string[];
}

export interface OwnTreeFiles {
  readonly dataDir: string;
  readonly evidenceDir: string;
  readonly logId: string;
}

/** The tree at the latest checkpoint; undefined where this log has none. Throws where it cannot be read. */
export function readOwnTree({ dataDir, evidenceDir, logId }: OwnTreeFiles): OwnTree | undefined {
  const checkpoint = readCheckpoint(evidenceDir);
  const origin = originOf(logId);
  if (checkpoint?.origin !== origin) return undefined;
  const { size, root } = checkpoint;
  const node = () => createTileReader(realEvidenceDisk, evidenceDir, size);
  return {
    ...{ origin, logId, size, root, checkpoint },
    get note() {
      return withNodeKey(checkpoint, readKey(dataDir, origin));
    },
    rootAt: (older) => rootAt(older, node()),
    prove: (older) => proveConsistency(older, size, node()),
    leaves: (from, to) => readLeaves(realEvidenceDisk, evidenceDir, size, from - 1, to),
  };
}

/**
 * A witness is configured with one key of the log, and boot keys change with each start: so what goes to witnesses is
 * signed by the node's key as well.
 */
function withNodeKey({ note }: SignedCheckpoint, key: SigningKey | undefined): string {
  if (key === undefined) return renderNote(note);
  const signatures = [...note.signatures, signText(note.text, key)];
  return renderNote({ text: note.text, signatures });
}

/** Read each time: it may have been rotated. */
function readKey(dataDir: string, origin: string): SigningKey | undefined {
  const pem = realEvidenceDisk.read(nodeKeyPath(dataDir))?.toString();
  return pem === undefined ? undefined : parseSigningKey(origin, pem);
}
