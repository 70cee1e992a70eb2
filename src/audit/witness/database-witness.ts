/**
 * The database as a witness: a checkpoint goes into its table only when it extends the last one there, which is checked
 * here by a consistency proof over this node's own tiles and, as far as size goes, by the table itself.
 */
import type { Clock } from "../../lib/clock.ts";
import type { CheckpointStore, StoredCheckpoint } from "../../storage/store.ts";
import { isConsistent, isSame } from "../evidence/tree.ts";
import { type Witness, WitnessConflict, type WitnessedTree } from "./witness.ts";

export function createDatabaseWitness(store: CheckpointStore, clock: Clock): Witness {
  return {
    name: "database",
    kind: "database",
    async witness(tree) {
      const last = await store.last(tree.logId);
      if (last !== undefined && !isNewer(tree, last)) return [];
      const root = Buffer.from(tree.root).toString("hex");
      const { logId, size, note } = tree;
      await store.add({ logId, size, root, note }, clock.nowMs());
      return [];
    },
  };
}

/** False where it is the one that is there; throws where it does not go on from that. */
function isNewer(tree: WitnessedTree, last: StoredCheckpoint): boolean {
  const lastRoot = Buffer.from(last.root, "hex");
  if (last.size > tree.size) {
    throw new WitnessConflict(
      `the database holds a checkpoint of ${last.size} records, and this log has ${tree.size}`,
      last.size,
    );
  }
  const goesOn =
    last.size === tree.size
      ? isSame(lastRoot, tree.root)
      : isConsistent({
          oldSize: last.size,
          oldRoot: lastRoot,
          newSize: tree.size,
          newRoot: tree.root,
          proof: tree.prove(last.size),
        });
  if (!goesOn) {
    throw new WitnessConflict(
      `the database holds another root for the first ${last.size} records`,
      last.size,
    );
  }
  return last.size < tree.size;
}
