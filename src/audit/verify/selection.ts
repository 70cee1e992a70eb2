/**
 * Verifies single records of a log, chosen by somebody: each by its own proof of inclusion in a signed checkpoint. What
 * was not chosen cannot be missed, so nothing is said of gaps. Same door as a whole log's verifier.
 */

import type { EnvelopeView } from "../envelope.ts";
import { noTiles } from "./checked-tree.ts";
import { checkSigned } from "./checkpoints.ts";
import {
  chooseViolation,
  type VerifyReport,
  type Violation,
  type ViolationKind,
  violationOf,
} from "./findings.ts";
import { isIncluded } from "./inclusion.ts";
import { createKeyHistory } from "./key-history.ts";
import type { LogVerifier, LogVerifierOptions } from "./log-verifier.ts";
import { createOrderBook, parseOrder } from "./orders.ts";
import { createPartCheck } from "./parts.ts";
import type { VerifiableRecord } from "./verifiable-record.ts";

export interface SelectionOptions
  extends Omit<LogVerifierOptions, "landmarks" | "signedSizes" | "start"> {
  /** Orders that came with proofs of their own, in the checkpoints of their logs. */
  readonly landmarks: NonNullable<LogVerifierOptions["landmarks"]>;
  /** Records by which the node's key was handed over. */
  readonly handOvers: readonly EnvelopeView[];
}

export function createSelectionVerifier(options: SelectionOptions): LogVerifier {
  const { logId, checkpoints = [], known = [], landmarks } = options;
  const isAsked = (options.keys ?? []).length > 0;
  const keys = createKeyHistory(logId, options.keys ?? [], options.certificates);
  const signed = checkSigned({ logId, keys, checkpoints, known, tiles: noTiles });
  const orders = createOrderBook(
    logId,
    landmarks.flatMap(({ envelope, leaf }) => parseOrder(envelope, leaf) ?? []),
    { signedSizes: new Map([[logId, Math.max(0, ...signed.sizes)]]), isWhole: false },
  );
  const parts = createPartCheck(orders, fault);
  let firstSeq = 0;
  let lastSeq = 0;
  let lastLeaf = "";
  let records = 0;
  let covered = 0;
  let found: Violation | undefined;
  for (const envelope of options.handOvers) {
    const problem = keys.pass(envelope);
    if (problem !== undefined) fault(envelope.seq, ...problem);
  }

  function fault(seq: number, kind: ViolationKind, why: string): void {
    found ??= violationOf(seq, kind, why);
  }

  function push(record: VerifiableRecord): void {
    const { seq, leaf, storedLeaf, envelope, proof, place } = record;
    if (storedLeaf !== undefined && storedLeaf !== leaf) {
      const isOrder = envelope !== undefined && parseOrder(envelope, leaf) !== undefined;
      fault(seq, isOrder ? "fake-tombstone" : "edit", "its bytes do not hash to its leaf");
    }
    if (seq <= lastSeq) {
      fault(seq, seq === lastSeq ? "replay" : "reorder", `it follows record ${lastSeq}`);
    }
    if (envelope !== undefined && envelope.log !== logId) {
      fault(seq, "splice", `it is of the log ${envelope.log}`);
    }
    if (place !== undefined && place !== seq)
      fault(place, "reorder", `its place holds record ${seq}`);
    parts.pass(record);
    if (found !== undefined) return;
    checkProof(seq, leaf, proof);
    if (records === 0) firstSeq = seq;
    records += 1;
    lastSeq = seq;
    lastLeaf = leaf;
  }

  function checkProof(seq: number, leaf: string, proof: readonly string[] | undefined): void {
    const [note] = checkpoints;
    if (proof === undefined || note === undefined) {
      if (isAsked) fault(seq, "checkpoint", "it has no proof");
      return;
    }
    if (isIncluded(note, seq, leaf, proof)) covered += 1;
    else fault(seq, "edit", "its proof does not lead to the signed root");
  }

  function finish(): VerifyReport {
    const concluded = found ?? signed.refuse(lastSeq, isAsked);
    const violation = chooseViolation(orders.unordered(), concluded);
    const pruned = parts.verdicts.okPruned;
    // An order counts here by its own proof, so no checkpoint that covers it is awaited.
    const undecided = violation === undefined ? orders.unwitnessed() : undefined;
    const ok = violation === undefined && undecided === undefined;
    return {
      ok,
      logId,
      records,
      pruned,
      firstSeq,
      lastSeq,
      lastLeaf,
      covered,
      verdicts: parts.verdicts,
      violation,
      undecided,
    };
  }

  return {
    push,
    fault,
    finish,
    isInOrder: true,
    lacksOrders: false,
    addLate: () => {},
    get isBroken() {
      return found !== undefined;
    },
    get lastSeq() {
      return lastSeq;
    },
    get lastLeaf() {
      return lastLeaf;
    },
  };
}
