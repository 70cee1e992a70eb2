/**
 * What a witness is to this node's log: somebody else who remembers how far the log has come and what its root was, and
 * says so only of a tree that goes on from the one it remembers. `database-witness.ts` and `external-witness.ts` are
 * two; `rounds.ts` asks them.
 */
import type { NoteSignature } from "../evidence/note.ts";

/** This node's tree at its latest checkpoint, and what it can show of it. */
export interface WitnessedTree {
  readonly origin: string;
  readonly logId: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** The signed note, as text. */
  readonly note: string;
  /** The root of the tree's first `size` leaves. */
  rootAt(size: number): Uint8Array;
  prove(oldSize: number): readonly Uint8Array[];
}

export interface Witness {
  readonly name: string;
  readonly kind: "database" | "external";
  /**
   * Has it remember this tree, and resolves with its signatures (none of one that signs nothing). Rejects with
   * WitnessConflict where it remembers another history, with any other error where it cannot be asked.
   */
  witness(tree: WitnessedTree): Promise<readonly NoteSignature[]>;
}

/** The log's history is not the one the witness remembers: a fork, or a data folder that was rolled back. */
export class WitnessConflict extends Error {
  /** The size the witness remembers, where it said so. */
  readonly witnessedSize: number | undefined;

  constructor(message: string, witnessedSize?: number) {
    super(message);
    this.witnessedSize = witnessedSize;
  }
}
