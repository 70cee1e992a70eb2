/**
 * The notary: reads what is synced back from the disk, checks leaf, chain and sequence, extends the tree by it, and
 * signs checkpoints with a key that was made here and never leaves. It signs over nothing that is missing, damaged or
 * out of its chain (ST-14), and over no tree that does not go on from the last one it finds signed (ST-12). Runs on a
 * thread of its own (`notary-worker.ts`), which tells it what is synced and when to look again.
 */
import type { Clock } from "../../lib/clock.ts";
import { genesisLeaf } from "../envelope.ts";
import { createLeafReader, type LeafRecord } from "../spool/leaves.ts";
import { originOf, type SignedCheckpoint, signCheckpoint } from "./checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint-file.ts";
import type { EvidenceDisk } from "./disk.ts";
import { EvidenceError } from "./evidence-error.ts";
import { createSigningKey, renderVerifierKey } from "./keys.ts";
import type {
  FromNotary,
  NotaryOptions,
  NotaryPlace,
  NotaryViolation,
  PreviousLife,
  Proved,
  Signed,
  Wanted,
} from "./notary-messages.ts";
import { renderNote } from "./note.ts";
import { createTileReader, openTileTree, TileConflict, type TileTree } from "./tiles.ts";
import { isSame, proveConsistency, proveInclusion, rootAt, rootOfInclusion } from "./tree.ts";

export interface NotaryDeps {
  readonly place: NotaryPlace;
  readonly options: NotaryOptions;
  readonly disk: EvidenceDisk;
  readonly clock: Clock;
  readonly emit: (message: FromNotary) => void;
}

export interface Notary {
  /** Reads what lies after the last checkpoint and says which tree this boot adopts. */
  adopt(syncedSeq: number): void;
  begin(startedSeq: number): void;
  noteSynced(seq: number): void;
  /** Ms until a checkpoint is due, or another look at what could not be read; undefined where nothing waits. */
  dueInMs(): number | undefined;
  /** Looks again, and signs. */
  signDue(): void;
  /** The leaf of a synced record, in hex; undefined where it cannot be read. */
  leafAt(seq: number): string | undefined;
  /** Throws an EvidenceError with the reason where there is no such proof. */
  prove(wanted: Wanted): Proved;
  /** Signs what is left. */
  close(seq: number): void;
}

/**
 * Records read between two times the tiles are made durable, where many are to be caught up with: more than a segment
 * holds, because a start waits for what a crash left of one to be read, and need not wait for hundreds of syncs.
 */
const recordsPerSave = 131_072;

class Refusal extends Error {
  override readonly name = "Refusal";
  readonly violation: NotaryViolation;
  constructor(violation: NotaryViolation) {
    super(violation.kind);
    this.violation = violation;
  }
}

export function createNotary({ place, options, disk, clock, emit }: NotaryDeps): Notary {
  const origin = originOf(place.logId);
  const key = createSigningKey(origin);
  const leaves = createLeafReader(place.spoolDir);
  let tree: TileTree | undefined;
  let lastLeaf = genesisLeaf;
  let lastEvent = "";
  let signed: Signed | undefined;
  /** The record with this boot's certificate; until it is in the tree nothing is signed. */
  let startedSeq = Number.POSITIVE_INFINITY;
  let unsignedSinceMs: number | undefined;
  /** What was refused last, so that the same is not said again at every try. */
  let refused = "";
  /** Synced, as far as was told; where reading stopped before it, it is tried again from `readAgainAtMs` on. */
  let wantedSeq = 0;
  let readAgainAtMs = Number.NEGATIVE_INFINITY;

  /** Runs a step; what it finds wrong is said. */
  function attempt(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      const message = toMessage(error, (tree?.size() ?? 0) + 1);
      const text = JSON.stringify(message);
      if (message.kind === "failed" || text !== refused) emit(message);
      if (message.kind === "refused") refused = text;
      return false;
    }
  }

  /** Has the tree hold all that is synced. Where something was wrong, it is not looked at again at once. */
  function catchUp(seq: number): void {
    const grown = tree;
    wantedSeq = Math.max(wantedSeq, seq);
    if (grown === undefined || grown.size() >= wantedSeq) return;
    if (clock.monotonicMs() < readAgainAtMs) return;
    const isRead = attempt(() => readUntil(grown, wantedSeq));
    if (!isRead) readAgainAtMs = clock.monotonicMs() + options.retryMs;
  }

  function adopt(syncedSeq: number): void {
    attempt(() => {
      tree = resume(syncedSeq);
      readUntil(tree, syncedSeq);
    });
    if (tree === undefined) {
      emit({ kind: "not-adopted" });
      return;
    }
    // What an earlier life signed stays signed.
    if (signed !== undefined) emit({ kind: "signed", size: signed.size });
    const size = tree.size();
    const root = toHex(tree.root());
    const previous = previousLife(syncedSeq, lastEvent);
    const bootKey = renderVerifierKey(key.verifier);
    emit({ kind: "adopted", adopted: { bootKey, size, root, previous } });
  }

  /** The tree of the last checkpoint, held against its tiles and against the record it ends with. */
  function resume(syncedSeq: number): TileTree {
    const last = readOwnCheckpoint();
    const size = last?.size ?? 0;
    const refuse = (kind: NotaryViolation["kind"], where: string) =>
      new Refusal({ kind, seq: size, where });
    if (size > syncedSeq) throw refuse("rolled-back", `the spool ends at ${syncedSeq}`);
    const node = createTileReader(disk, place.dir, size);
    if (last !== undefined && !isSame(rootAt(size, node), last.root)) {
      throw refuse("tiles", "the tiles do not lead to the signed root");
    }
    if (last === undefined || size === 0) return openTileTree(disk, place.dir, 0);
    lastLeaf = toHex(node(0, size - 1));
    const damage = leaves.read(size - 1, size, (record) => {
      if (record.leaf !== lastLeaf) throw refuse("tiles", "the spool holds another record");
      lastEvent = record.event;
    });
    // A segment all of whose records are shipped may be gone; the next record's link is checked all the same.
    if (damage?.kind === "bytes") throw new Refusal({ ...damage, where: damage.segment });
    signed = { size, root: toHex(last.root), note: renderNote(last.note) };
    return openTileTree(disk, place.dir, size);
  }

  function readOwnCheckpoint(): SignedCheckpoint | undefined {
    const found = readCheckpoint(place.dir, disk);
    if (found === undefined) return undefined;
    if (found.origin !== origin) throw new EvidenceError(`the checkpoint is of ${found.origin}`);
    return found;
  }

  function readUntil(into: TileTree, seq: number): void {
    while (into.size() < seq) {
      const until = Math.min(seq, into.size() + recordsPerSave);
      const damage = leaves.read(into.size(), until, (record) => take(into, record));
      if (damage !== undefined) {
        throw new Refusal({ kind: damage.kind, seq: damage.seq, where: damage.segment });
      }
      if (into.size() < seq) into.save();
    }
  }

  function take(into: TileTree, record: LeafRecord): void {
    const refuse = (kind: NotaryViolation["kind"], where: string) =>
      new Refusal({ kind, seq: record.seq, where });
    if (record.log !== place.logId) throw refuse("foreign", `it is of log ${record.log}`);
    if (record.prev !== lastLeaf) throw refuse("chain", "it does not name the leaf before it");
    into.append(record.leaf);
    lastLeaf = record.leaf;
    lastEvent = record.event;
  }

  function noteSynced(seq: number): void {
    catchUp(seq);
    emit({ kind: "read", seq });
  }

  function isUnsigned(): boolean {
    const size = tree?.size() ?? 0;
    return size >= startedSeq && size > (signed?.size ?? 0);
  }

  function dueInMs(): number | undefined {
    const nowMs = clock.monotonicMs();
    const isBehind = tree !== undefined && tree.size() < wantedSeq;
    const readInMs = isBehind ? Math.max(0, readAgainAtMs - nowMs) : undefined;
    if (!isUnsigned()) return readInMs;
    unsignedSinceMs ??= nowMs;
    const signInMs = unsignedSinceMs + options.signAfterMs - nowMs;
    return Math.max(0, Math.min(signInMs, readInMs ?? Number.POSITIVE_INFINITY));
  }

  function signDue(): void {
    catchUp(wantedSeq);
    // Set before it is tried: a disk that fails is tried again as often, and no oftener.
    unsignedSinceMs = clock.monotonicMs();
    attempt(sign);
  }

  function sign(): void {
    if (tree === undefined || !isUnsigned()) return;
    tree.save();
    const checkpoint = { origin, size: tree.size(), root: tree.root() };
    const note = signCheckpoint(checkpoint, key);
    writeCheckpoint(place.dir, note, disk);
    signed = { size: checkpoint.size, root: toHex(checkpoint.root), note };
    unsignedSinceMs = undefined;
    emit({ kind: "signed", size: signed.size });
  }

  function leafAt(seq: number): string | undefined {
    catchUp(seq);
    if (tree === undefined || seq > tree.size()) return undefined;
    const recent = tree.recentLeaf(seq - 1);
    if (recent !== undefined) return toHex(recent);
    // Older ones are on the disk, all but those of full tiles that no checkpoint has taken along yet.
    if (seq > (signed?.size ?? 0)) return undefined;
    return toHex(createTileReader(disk, place.dir, signed?.size ?? 0)(0, seq - 1));
  }

  function prove({ seq, oldSize }: Wanted): Proved {
    const checkpoint = signed;
    if (checkpoint === undefined || seq > checkpoint.size) {
      throw new EvidenceError(`record ${seq} is under no checkpoint yet`);
    }
    const { size } = checkpoint;
    const node = createTileReader(disk, place.dir, size);
    const index = seq - 1;
    const leaf = node(0, index);
    const proof = proveInclusion(index, size, node);
    const root = rootOfInclusion({ index, size, leaf, proof });
    if (root === undefined || toHex(root) !== checkpoint.root) {
      const where = "the tiles do not lead to the signed root";
      emit({ kind: "refused", violation: { kind: "tiles", seq, where } });
      throw new EvidenceError(where);
    }
    const consistency = oldSize === undefined ? [] : proveConsistency(oldSize, size, node);
    return {
      leaf: toHex(leaf),
      hashes: proof.map(toHex),
      consistency: consistency.map(toHex),
      checkpoint,
    };
  }

  function close(seq: number): void {
    noteSynced(seq);
    attempt(sign);
  }

  return {
    adopt,
    begin: (seq) => {
      startedSeq = seq;
      noteSynced(seq);
    },
    noteSynced,
    dueInMs,
    signDue,
    leafAt,
    prove,
    close,
  };
}

function previousLife(syncedSeq: number, lastEvent: string): PreviousLife {
  if (syncedSeq === 0) return "none";
  return lastEvent === "lifecycle.stopped" ? "closed" : "crashed";
}

function toMessage(error: unknown, seq: number): FromNotary {
  if (error instanceof Refusal) return { kind: "refused", violation: error.violation };
  if (error instanceof TileConflict) {
    return { kind: "refused", violation: { kind: "tiles", seq, where: error.message } };
  }
  if (error instanceof EvidenceError) {
    return { kind: "refused", violation: { kind: "checkpoint", seq, where: error.message } };
  }
  return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
