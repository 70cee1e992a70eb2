/**
 * Judges what lies beside an envelope, for a whole log and for chosen records alike: there, opened, lawfully gone, or not
 * what was committed to. Counts a verdict for each record with which nothing is wrong.
 */
import { emptyCommitment } from "../commitment.ts";
import type { VerdictCounts, ViolationKind } from "./findings.ts";
import type { OrderBook, OrderKind } from "./orders.ts";
import type { VerifiableRecord } from "./verifiable-record.ts";

export interface PartCheck {
  /** Takes the next record in order. */
  pass(record: VerifiableRecord): void;
  readonly verdicts: VerdictCounts;
}

export function createPartCheck(
  orders: Pick<OrderBook, "pass">,
  fault: (seq: number, kind: ViolationKind, why: string) => void,
): PartCheck {
  const verdicts = { ok: 0, okSealed: 0, okShredded: 0, okPruned: 0 };
  return {
    verdicts,
    pass({ seq, envelope, leaf, part }) {
      const missing: OrderKind | undefined =
        envelope === undefined ? "deleted" : part === "missing" ? "erased" : undefined;
      const cover = orders.pass(seq, leaf, missing);
      if (missing !== undefined) {
        if (cover === "signed") verdicts[missing === "deleted" ? "okPruned" : "okShredded"] += 1;
      } else if (part === "empty" && envelope?.commitment !== emptyCommitment) {
        fault(seq, "edit", "its sealed part was replaced by an empty one");
      } else if (part === "broken") {
        fault(seq, "edit", "its sealed part is not what it committed to");
      } else {
        verdicts[part === "sealed" ? "okSealed" : "ok"] += 1;
      }
    },
  };
}
