/**
 * Makes a lost folder of evidence anew at a start: the tree of the last checkpoint that the database remembers, from
 * the spool's leaves and, where its segments are gone, the database's. It is written only if it leads to the witnessed
 * root and this node's key signed that; the notary then takes it up like any other. Called by `evidence.ts`.
 */
import type { AuditStore, StoredCheckpoint } from "../../storage/store.ts";
import { listSegments } from "../spool/files.ts";
import { createLeafReader } from "../spool/leaves.ts";
import { readStoredLeaves } from "../stored-leaves.ts";
import { originOf, verifyCheckpoint } from "./checkpoint.ts";
import { hasCheckpoint, writeCheckpoint } from "./checkpoint-file.ts";
import { realEvidenceDisk } from "./disk.ts";
import { EvidenceError } from "./evidence-error.ts";
import { readNodeKey } from "./node-key.ts";
import type { NotaryViolation } from "./notary-messages.ts";
import { openTileTree } from "./tiles.ts";
import { createRightEdge, isSame } from "./tree.ts";

export interface RebuildDeps {
  readonly dataDir: string;
  /** Of the evidence. */
  readonly dir: string;
  readonly spoolDir: string;
  readonly logId: string;
  readonly store: Pick<AuditStore, "scan">;
  /** The last checkpoint of the log that the database, or the one of its witness, remembers. */
  readonly witnessed?: ((logId: string) => Promise<StoredCheckpoint | undefined>) | undefined;
}

/** How many records are under the tree that was made anew, or why nothing may be signed. */
export type Rebuilt = { readonly size: number } | { readonly violation: NotaryViolation };

const leavesPerRead = 4096;
const leavesPerSave = 16_384;

/** Undefined where nothing is lost, or nothing was ever witnessed: then the notary begins with the spool's first record. */
export async function rebuildEvidence(
  deps: RebuildDeps,
  lastSeq: number,
): Promise<Rebuilt | undefined> {
  if (lastSeq === 0 || hasCheckpoint(deps.dir)) return undefined;
  let seq = 0;
  try {
    const last = await deps.witnessed?.(deps.logId);
    if (last === undefined) return undefined;
    seq = last.size;
    await rebuild(deps, last);
    return { size: last.size };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const where = `the folder of evidence is lost, and cannot be made anew: ${reason}`;
    return { violation: { kind: "checkpoint", seq, where } };
  }
}

async function rebuild(deps: RebuildDeps, { note }: StoredCheckpoint): Promise<void> {
  const { dataDir, dir, logId } = deps;
  const origin = originOf(logId);
  const nodeKey = await readNodeKey(dataDir, origin);
  const { size, root } = verifyCheckpoint(note, origin, nodeKey ? [nodeKey.verifier] : []);
  const needSame = (found: Uint8Array) => {
    if (isSame(found, root)) return;
    throw new EvidenceError(`the first ${size} records are not those that were witnessed`);
  };
  // Read twice, so that nothing is written of a wrong tree and no tree is held in memory.
  const edge = createRightEdge();
  for await (const leaves of readLeaves(deps, size)) {
    for (const leaf of leaves) edge.append(Buffer.from(leaf, "hex"));
  }
  needSame(edge.root());
  const tree = openTileTree(realEvidenceDisk, dir, 0);
  for await (const leaves of readLeaves(deps, size)) {
    for (const leaf of leaves) tree.append(leaf);
    if (tree.size() % leavesPerSave === 0) tree.save();
  }
  needSame(tree.root());
  tree.save();
  writeCheckpoint(dir, note, realEvidenceDisk);
}

/** The spool is the record; what it lacks, or has damaged, stands in the database too. The root tells if it is right. */
async function* readLeaves(
  { spoolDir, store, logId }: RebuildDeps,
  size: number,
): AsyncGenerator<readonly string[]> {
  const reader = createLeafReader(spoolDir);
  const goneUntil = (listSegments(spoolDir)[0]?.firstSeq ?? Number.POSITIVE_INFINITY) - 1;
  for (let seq = 0, until = 0; seq < size; seq = until) {
    // To the next multiple: where the spool begins among them, what follows is saved at its times all the same.
    until = Math.min(seq - (seq % leavesPerRead) + leavesPerRead, size);
    if (seq < goneUntil) until = Math.min(until, goneUntil);
    const leaves: string[] = [];
    const damage = reader.read(seq, until, ({ leaf }) => leaves.push(leaf));
    yield damage === undefined ? leaves : await readStoredLeaves(store, logId, seq, until);
  }
}
