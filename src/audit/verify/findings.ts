/**
 * What verification can find: the kinds of tampering, told apart as far as the evidence allows, and the report on one
 * log. docs/audit.md says of each kind what it means; the independent verifier in deploy/ uses the same names.
 */
export const violationKinds = [
  /** A record's bytes are not those that were hashed, or its sealed part is not what it committed to. */
  "edit",
  "delete",
  "insert",
  "swap",
  "reorder",
  /** The log ends before a signed checkpoint does. */
  "cut",
  /** A second history: chained in itself, but not the one that was signed. */
  "fork",
  /** Records, or a whole log with its checkpoint, that were there before and are put there again. */
  "replay",
  /** Records of another log or of another history stand in this one. */
  "splice",
  "foreign-key",
  "key-history",
  "fake-tombstone",
  "removed-tombstone",
  "back-dated",
  /** Bytes that are no record any more. */
  "damage",
  /** The stored tree is not that of the records, which are as they were signed. */
  "tiles",
  /** A checkpoint that is missing, unreadable or not what its key signed. */
  "checkpoint",
] as const;
export type ViolationKind = (typeof violationKinds)[number];

export interface Violation {
  readonly seq: number;
  readonly kind: ViolationKind;
  readonly message: string;
}

export function violationOf(seq: number, kind: ViolationKind, why: string): Violation {
  return { seq, kind, message: `record ${seq}: ${why}` };
}

/**
 * What cannot be decided with what is at hand: neither sound nor a violation. `not-yet-witnessed`: what is missing is
 * named by sound orders, but by ones newer than every checkpoint, so anybody may have put them there.
 */
export interface Undecided {
  readonly kind: "not-yet-witnessed";
  /** The first record concerned, and how many there are. */
  readonly seq: number;
  readonly records: number;
  readonly message: string;
}

/** Each record's verdict where nothing is wrong with it. */
export interface VerdictCounts {
  /** The values were opened, or there are none. */
  readonly ok: number;
  /** The values are sealed, and no key was at hand. */
  readonly okSealed: number;
  /** The values are gone by order of an erasure. */
  readonly okShredded: number;
  /** The record is gone by order of retention. */
  readonly okPruned: number;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly logId: string;
  readonly records: number;
  readonly pruned: number;
  /** 0 for an empty log. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly lastLeaf: string;
  /** Records under the largest signed checkpoint that was held against them. */
  readonly covered: number;
  readonly verdicts: VerdictCounts;
  /** The first record that is wrong. */
  readonly violation: Violation | undefined;
  /** Only where there is no violation; `ok` is false. */
  readonly undecided: Undecided | undefined;
}

/** What else may be the reason that a part is missing without its order, or that an order's digest is another. */
const lost: readonly ViolationKind[] = ["cut", "replay", "splice", "foreign-key", "key-history"];
const explanations: Partial<Record<ViolationKind, readonly ViolationKind[]>> = {
  "removed-tombstone": lost,
  "fake-tombstone": [...lost, "fork"],
};

/** Which of two findings to name: a missing order, unless what else was found explains it. */
export function chooseViolation(
  unordered: Violation | undefined,
  found: Violation | undefined,
): Violation | undefined {
  if (unordered === undefined || found === undefined) return unordered ?? found;
  return explanations[unordered.kind]?.includes(found.kind) ? found : unordered;
}
