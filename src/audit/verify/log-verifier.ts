/**
 * Verifies one log from its records in order: leaves, links, times, keys, orders for what is missing, and the tree
 * against every signed checkpoint. Streams: it holds the tree's right edge, the ranges that orders name, and after the
 * first record out of place an outline of the rest. Fed by `read-spool.ts`, `read-store.ts` and `read-export.ts`.
 */
import { type EnvelopeView, genesisLeaf } from "../envelope.ts";
import type { VerifierKey } from "../evidence/keys.ts";
import { createCheckedTree, noTiles, readTileLeaves, type TileFiles } from "./checked-tree.ts";
import { checkSigned, type SignedTree } from "./checkpoints.ts";
import { diagnose, type Outlined, outlineMax } from "./diagnosis.ts";
import {
  chooseViolation,
  type VerifyReport,
  type Violation,
  type ViolationKind,
  violationOf,
} from "./findings.ts";
import { createKeyHistory } from "./key-history.ts";
import { createOrderBook, type Landmark, parseOrder } from "./orders.ts";
import { createPartCheck } from "./parts.ts";
import { createTimes } from "./times.ts";
import type { VerifiableRecord } from "./verifiable-record.ts";

export interface LogVerifierOptions {
  readonly logId: string;
  /** The record before the first one there is. */
  readonly start?: { readonly seq: number; readonly leaf: string };
  /** The node keys a reader trusts; with none, signatures are not looked at and no checkpoint is asked for. */
  readonly keys?: readonly VerifierKey[];
  /** Certificates of boot keys, as notes. */
  readonly certificates?: readonly string[];
  /** Signed notes: those kept with the log, and those a reader holds from elsewhere. */
  readonly checkpoints?: readonly string[];
  readonly known?: readonly string[];
  readonly tiles?: TileFiles;
  readonly landmarks?: readonly Landmark[];
  /** What the largest checkpoint of each other log covers, where one is at hand: its orders count up to there. */
  readonly signedSizes?: ReadonlyMap<string, number>;
  /** Leaves of the orders that stand in the logs that were read; shared by logs that are verified together. */
  readonly seenOrders?: Set<string>;
}

export interface LogVerifier {
  push(record: VerifiableRecord): void;
  /** Something found while reading: bytes that are no record, a column that says something else. */
  fault(seq: number, kind: ViolationKind, why: string): void;
  /** Whether nothing more can change the finding but by what `finish` rereads. */
  readonly isBroken: boolean;
  readonly lastSeq: number;
  readonly lastLeaf: string;
  /** Whether every record so far followed the one before it. */
  readonly isInOrder: boolean;
  /** Whether something is missing that no order read ahead names: one may have been given since. */
  readonly lacksOrders: boolean;
  /** Orders found after the records were read. */
  addLate(landmarks: readonly Landmark[]): void;
  /** `reread` yields all records once more; only called where they are out of order or not those signed. */
  finish(reread: () => Iterable<Outlined>): VerifyReport;
}

export function toOutlined(logId: string, { seq, envelope, leaf }: VerifiableRecord): Outlined {
  const isOrder = envelope !== undefined && parseOrder(envelope, leaf) !== undefined;
  return { seq, log: envelope?.log ?? logId, prev: envelope?.prev, leaf, isOrder };
}

export function createLogVerifier(options: LogVerifierOptions): LogVerifier {
  const { logId, start = { seq: 0, leaf: genesisLeaf }, tiles = noTiles } = options;
  const { checkpoints = [], known = [], landmarks = [], seenOrders = new Set<string>() } = options;
  const keys = createKeyHistory(
    logId,
    options.keys ?? [],
    options.certificates,
    landmarks.map(({ envelope }) => envelope).filter(({ log }) => log === logId),
  );
  const times = createTimes(start.seq);
  const tree = createCheckedTree(tiles);
  const signed = checkSigned({ logId, keys, checkpoints, known, tiles });
  const watched = new Set(signed.sizes);
  for (const { envelope } of landmarks) watched.add(Number(envelope.facts.treeSize));
  const roots = new Map<number, Uint8Array>([[0, tree.root()]]);
  const signedSizes = new Map(options.signedSizes).set(logId, Math.max(0, ...signed.sizes));
  const orders = createOrderBook(
    logId,
    landmarks.flatMap(({ envelope, leaf }) => parseOrder(envelope, leaf) ?? []),
    { signedSizes, isWhole: true },
  );
  const parts = createPartCheck(orders, fault);
  let last = { ...start, isOrder: false };
  let records = 0;
  let outline: Outlined[] | undefined;
  let found: Violation | undefined;
  /** A tree departs from what a boot key was certified for; which record did is told at the end. */
  let departed: SignedTree | undefined;
  const isGrowing = growBefore();

  /** Records before the first one at hand are known by the tiles' leaves alone. */
  function growBefore(): boolean {
    if (start.seq === 0) return true;
    for (const leaf of readTileLeaves(tiles)) {
      if (tree.size === start.seq) break;
      if (tree.size === start.seq - 1 && Buffer.from(leaf).toString("hex") !== start.leaf) {
        fault(start.seq + 1, "fork", "the record before it is not the one the tree holds");
      }
      grow(leaf);
    }
    return tree.size === start.seq;
  }

  function grow(leaf: Uint8Array): void {
    tree.append(leaf);
    if (watched.has(tree.size)) roots.set(tree.size, tree.root());
  }

  function fault(seq: number, kind: ViolationKind, why: string): void {
    if (outline === undefined) found ??= violationOf(seq, kind, why);
  }

  function push(record: VerifiableRecord): void {
    if (outline !== undefined) {
      if (outline.length < outlineMax) outline.push(toOutlined(logId, record));
      return;
    }
    if (found !== undefined || departed !== undefined) return;
    const { seq, envelope, leaf } = record;
    const order = envelope && parseOrder(envelope, leaf);
    checkStored(record, order !== undefined);
    if (found === undefined && !follows(record)) outline = [toOutlined(logId, record)];
    if (found !== undefined || outline !== undefined) return;
    if (order !== undefined) seenOrders.add(leaf);
    parts.pass(record);
    if (found !== undefined) return;
    records += 1;
    last = { seq, leaf, isOrder: order !== undefined };
    if (isGrowing) grow(Buffer.from(leaf, "hex"));
  }

  function checkStored({ seq, leaf, storedLeaf }: VerifiableRecord, isOrder: boolean): void {
    if (storedLeaf === undefined || storedLeaf === leaf) return;
    fault(seq, isOrder ? "fake-tombstone" : "edit", "its bytes do not hash to its leaf");
  }

  function follows({ seq, envelope, place }: VerifiableRecord): boolean {
    if (seq !== last.seq + 1) return false;
    if (envelope !== undefined) {
      if (envelope.log !== logId) return false;
      checkContent(envelope);
      if (found !== undefined) return true;
      if (envelope.prev !== last.leaf) return false;
      checkAdopted(envelope);
    }
    if (place !== undefined && place !== seq)
      fault(place, "reorder", `its place holds record ${seq}`);
    return true;
  }

  function checkContent(envelope: EnvelopeView): void {
    const problem = keys.pass(envelope);
    if (problem !== undefined) fault(envelope.seq, ...problem);
    if (times.isBackDated(envelope)) {
      const why = `its time ${envelope.time} lies before the records it follows`;
      fault(envelope.seq, "back-dated", why);
    }
  }

  /** A boot key is certified for the tree it was started on. */
  function checkAdopted({ seq, event, facts }: EnvelopeView): void {
    const { treeSize, treeRoot } = facts;
    if (event !== "lifecycle.started" || typeof treeSize !== "number") return;
    if (treeSize >= seq) fault(seq, "key-history", `it adopts ${treeSize} records, not yet there`);
    const root = roots.get(treeSize);
    if (root === undefined || Buffer.from(root).toString("hex") === treeRoot) return;
    departed ??= { size: treeSize, what: "the tree that the boot key was certified for" };
  }

  function finish(reread: () => Iterable<Outlined>): VerifyReport {
    if (outline !== undefined) {
      const leavesBefore = () => takeLeaves(tiles, start.seq);
      const scene = { logId, last, startSeq: start.seq, outline, reread, leavesBefore };
      found = diagnose({ ...scene, signed: signed.readable });
    }
    const end = { lastSeq: last.seq, roots, tree, departed, reread, isAsked: isAsked() };
    const concluded = found === undefined ? signed.conclude(end) : { violation: found, covered: 0 };
    const lawful = earlier(orders.unordered(), orders.unsound());
    const violation = chooseViolation(lawful, concluded.violation) ?? orders.unseen(seenOrders);
    const undecided = violation === undefined ? orders.unwitnessed() : undefined;
    return {
      ok: violation === undefined && undecided === undefined,
      logId,
      records,
      pruned: parts.verdicts.okPruned,
      firstSeq: records === 0 ? 0 : start.seq + 1,
      lastSeq: last.seq,
      lastLeaf: last.leaf,
      covered: concluded.covered,
      verdicts: parts.verdicts,
      violation,
      undecided,
    };
  }

  function isAsked(): boolean {
    return (options.keys ?? []).length > 0;
  }

  return {
    push,
    fault,
    finish,
    get lacksOrders() {
      return orders.lacksOrders;
    },
    addLate: (late) =>
      orders.addLate(late.flatMap(({ envelope, leaf }) => parseOrder(envelope, leaf) ?? [])),
    get isBroken() {
      return found !== undefined;
    },
    get isInOrder() {
      return outline === undefined;
    },
    get lastSeq() {
      return last.seq;
    },
    get lastLeaf() {
      return last.leaf;
    },
  };
}

function earlier(one: Violation | undefined, other: Violation | undefined): Violation | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.seq <= other.seq ? one : other;
}

function* takeLeaves(tiles: TileFiles, count: number): Generator<Uint8Array> {
  let left = count;
  for (const leaf of readTileLeaves(tiles)) {
    if (left === 0) return;
    left -= 1;
    yield leaf;
  }
}
