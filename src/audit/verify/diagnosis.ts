/**
 * Tells what was done to a log where a record does not follow the one before it, from the outline of what comes after
 * that place. Pure but for reading the log once more, which only a broken log costs.
 */
import { createCheckedTree } from "./checked-tree.ts";
import { type Violation, type ViolationKind, violationOf } from "./findings.ts";

/** What is remembered of a record after the place where the order broke. */
export interface Outlined {
  readonly seq: number;
  readonly log: string;
  /** Undefined where the envelope is gone. */
  readonly prev: string | undefined;
  readonly leaf: string;
  readonly isOrder: boolean;
}

/** More is not looked at: what was moved further away is named after what is near. */
export const outlineMax = 1_000_000;

export interface Scene {
  readonly logId: string;
  /** The last record that followed, and the first one there was. */
  readonly last: { readonly seq: number; readonly isOrder: boolean };
  readonly startSeq: number;
  /** From the first record that does not follow. */
  readonly outline: readonly Outlined[];
  /** All records once more, in the order they are kept. */
  readonly reread: () => Iterable<Outlined>;
  /** Leaves of the records before the first one there is. */
  readonly leavesBefore: () => Iterable<Uint8Array>;
  readonly signed: readonly { readonly size: number; readonly root: Uint8Array }[];
}

export function diagnose(scene: Scene): Violation {
  const { logId, last, outline } = scene;
  const expected = last.seq + 1;
  const [first] = outline;
  if (first === undefined) return violationOf(expected, "delete", "it is missing");
  if (first.log !== logId) return violationOf(expected, "splice", `it is of the log ${first.log}`);
  if (first.seq === expected) return diagnoseLink(scene, first, expected);
  if (first.seq < expected) return diagnoseRepeat(scene, first, expected);
  const foreign = outline.find(({ log }) => log !== logId);
  if (foreign !== undefined) {
    const why = `records of the log ${foreign.log} follow in its place`;
    return violationOf(expected, "splice", why);
  }
  return diagnoseOrder(outline, first, expected);
}

/** The right number, but it names another record as the one before it: one of the two was changed, or is foreign. */
function diagnoseLink(scene: Scene, first: Outlined, expected: number): Violation {
  const { last, startSeq, outline } = scene;
  const edited = (seq: number, isOrder: boolean) =>
    violationOf(seq, isOrder ? "fake-tombstone" : "edit", "it was changed after it was recorded");
  const goesOn = outline[1]?.prev === first.leaf;
  if (!goesOn || last.seq === startSeq) return edited(expected, first.isOrder);
  if (isSigned(scene, last.seq, first.prev ?? "")) return edited(last.seq, last.isOrder);
  const why = "it goes on from another record than the one before it";
  return violationOf(expected, "splice", why);
}

/** Whether what was signed is this log with another leaf in one place. Nothing signed speaks against it. */
function isSigned({ signed, leavesBefore, reread }: Scene, seq: number, leaf: string): boolean {
  const roots = signed.filter(({ size }) => size >= seq);
  if (roots.length === 0) return true;
  const tree = createCheckedTree();
  for (const before of leavesBefore()) tree.append(before);
  for (const record of reread()) {
    tree.append(Buffer.from(record.seq === seq ? leaf : record.leaf, "hex"));
    const one = roots.find(({ size }) => size === tree.size);
    if (one !== undefined && Buffer.compare(one.root, tree.root()) === 0) return true;
  }
  return false;
}

/** A number that was there already: the same record again, another one beside it, or a second history. */
function diagnoseRepeat(scene: Scene, first: Outlined, expected: number): Violation {
  const accepted = findRecord(scene, first.seq);
  if (accepted?.leaf === first.leaf) {
    return violationOf(expected, "replay", `record ${first.seq} stands here again`);
  }
  if (first.seq < expected - 1 && scene.outline.length > 1) {
    return violationOf(first.seq, "fork", "two histories go on from here");
  }
  const kind = accepted?.isOrder || first.isOrder ? "fake-tombstone" : "insert";
  return violationOf(first.seq, kind, "two records claim this number");
}

function findRecord({ reread }: Scene, seq: number): Outlined | undefined {
  for (const record of reread()) if (record.seq === seq) return record;
  return undefined;
}

/** A later number: what is missing is gone, or stands elsewhere. */
function diagnoseOrder(outline: readonly Outlined[], first: Outlined, expected: number): Violation {
  const isLater = outline.some(({ seq }) => seq >= expected && seq < first.seq);
  if (!isLater) {
    return violationOf(expected, "delete", `it is missing; the next one is ${first.seq}`);
  }
  const moved = outline.filter(({ seq }, index) => seq !== expected + index).length;
  const kind: ViolationKind = moved === 2 ? "swap" : "reorder";
  return violationOf(expected, kind, `record ${first.seq} stands in its place`);
}
