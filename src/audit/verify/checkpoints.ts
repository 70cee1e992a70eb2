/**
 * Holds a log's recomputed tree against what was signed: every checkpoint at hand, and the tiles. Finds a log that ends
 * too early, one that was rewritten, and an older one put back; and says from which record on, where tiles still tell.
 */
import type { SignedCheckpoint } from "../evidence/checkpoint.ts";
import { parseCheckpoint } from "../evidence/checkpoint.ts";
import { EvidenceError } from "../evidence/evidence-error.ts";
import {
  type CheckedTree,
  createCheckedTree,
  readTileLeaves,
  type TileFiles,
} from "./checked-tree.ts";
import type { Outlined } from "./diagnosis.ts";
import { type Violation, violationOf } from "./findings.ts";
import type { KeyHistory } from "./key-history.ts";

/** A signed tree that the records are not those of. */
export interface SignedTree {
  readonly size: number;
  readonly what: string;
}

export interface LogEnd {
  readonly lastSeq: number;
  /** Roots of the recomputed tree at the sizes asked for. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
  readonly tree: CheckedTree;
  readonly departed: SignedTree | undefined;
  readonly reread: () => Iterable<Outlined>;
  /** Whether there must be a checkpoint. */
  readonly isAsked: boolean;
}

export interface SignedTrees {
  /** Sizes at which the tree's root will be asked for. */
  readonly sizes: readonly number[];
  /** What can be read, whoever signed it. */
  readonly readable: readonly SignedCheckpoint[];
  /** What is wrong with the checkpoints themselves. */
  refuse(lastSeq: number, isAsked: boolean): Violation | undefined;
  conclude(end: LogEnd): { readonly covered: number; readonly violation: Violation | undefined };
}

export function checkSigned(deps: {
  readonly logId: string;
  readonly keys: KeyHistory;
  readonly checkpoints: readonly string[];
  readonly known: readonly string[];
  readonly tiles: TileFiles;
}): SignedTrees {
  const { keys, tiles } = deps;
  const notes = [...deps.checkpoints, ...deps.known];
  const readable = notes.flatMap(readLeniently);

  function conclude(end: LogEnd): { covered: number; violation: Violation | undefined } {
    const { lastSeq, departed, isAsked, tree } = end;
    const fail = (violation: Violation) => ({ covered: 0, violation });
    if (departed !== undefined) return fail(locate(end, departed, 0));
    const refused = refuse(lastSeq, isAsked);
    if (refused !== undefined) return fail(refused);
    const trusted = notes.map((note) => keys.check(note)).filter(isCheckpoint);
    const early = findEarlyEnd(trusted, lastSeq);
    if (early !== undefined) return fail(early);
    const compared = compareRoots(end, trusted);
    if (compared.violation !== undefined) return compared;
    if (tree.wrong !== undefined) {
      const why = `the tile ${tree.wrong.path} is not of this tree`;
      return fail(violationOf(tree.wrong.seq, "tiles", why));
    }
    if (tree.unreached > 0 && tree.size > 0) {
      return fail(violationOf(lastSeq + 1, "cut", "the tiles hold records that are missing"));
    }
    return compared;
  }

  function refuse(lastSeq: number, isAsked: boolean): Violation | undefined {
    if (notes.length === 0 && isAsked) {
      return violationOf(lastSeq, "checkpoint", "there is no signed checkpoint");
    }
    const wrong = notes.map((note) => keys.check(note)).find((checked) => !isCheckpoint(checked));
    return wrong && !isCheckpoint(wrong) ? violationOf(lastSeq, ...wrong) : undefined;
  }

  /** A log that agrees with its own checkpoint, but not with a later one, is an old one put back. */
  function findEarlyEnd(trusted: readonly SignedCheckpoint[], lastSeq: number) {
    const ownSize = Math.max(
      0,
      ...trusted.slice(0, deps.checkpoints.length).map(({ size }) => size),
    );
    const later = trusted.find(({ size }) => size > lastSeq);
    if (later === undefined) return undefined;
    const isOld = later.size > ownSize && ownSize > 0;
    const why = isOld
      ? `the log and its checkpoint are older than a checkpoint of ${later.size} records`
      : `it is missing, and a checkpoint covers ${later.size} records`;
    return violationOf(lastSeq + 1, isOld ? "replay" : "cut", why);
  }

  function compareRoots(end: LogEnd, trusted: readonly SignedCheckpoint[]) {
    let covered = 0;
    for (const { size, root } of trusted.toSorted((a, b) => a.size - b.size)) {
      const own = end.roots.get(size);
      if (own === undefined) continue;
      if (Buffer.compare(own, root) !== 0) {
        const signed = { size, what: `the checkpoint of ${size} records` };
        return { covered, violation: locate(end, signed, covered) };
      }
      covered = size;
    }
    return { covered, violation: undefined };
  }

  /** The first record that is not the signed one, by the tiles if these are still what was signed. */
  function locate({ reread, tree }: LogEnd, signed: SignedTree, after: number): Violation {
    const why = `from here to ${signed.size} the records are not those of ${signed.what}`;
    const truth = readTruth();
    if (truth.length > 0) {
      for (const { seq, leaf } of reread()) {
        const isOther = seq <= truth.length && truth[seq - 1] !== leaf;
        if (isOther) return violationOf(seq, "fork", why);
      }
      if (truth.length >= signed.size && tree.wrong !== undefined) {
        return violationOf(tree.wrong.seq, "tiles", "the tiles are not of this tree");
      }
    }
    return violationOf(after + 1, "fork", why);
  }

  /** The leaves of the tree that was signed, by tiles that lead to a checkpoint's root. */
  function readTruth(): readonly string[] {
    const tree = createCheckedTree();
    const leaves: string[] = [];
    let sound = 0;
    for (const leaf of readTileLeaves(tiles)) {
      tree.append(leaf);
      leaves.push(Buffer.from(leaf).toString("hex"));
      const one = readable.find(({ size }) => size === tree.size);
      if (one !== undefined && Buffer.compare(one.root, tree.root()) === 0) sound = tree.size;
    }
    return leaves.slice(0, sound);
  }

  return { sizes: readable.map(({ size }) => size), readable, refuse, conclude };
}

/** What the largest of these checkpoints covers, whoever signed it; 0 without one. */
export function signedSizeOf(notes: readonly string[]): number {
  return Math.max(0, ...notes.flatMap(readLeniently).map(({ size }) => size));
}

function isCheckpoint(checked: ReturnType<KeyHistory["check"]>): checked is SignedCheckpoint {
  return "root" in checked;
}

function readLeniently(note: string): readonly SignedCheckpoint[] {
  try {
    return [parseCheckpoint(note)];
  } catch (error) {
    if (error instanceof EvidenceError) return [];
    throw error;
  }
}
