/**
 * Lawful absence: the orders that name what may be missing from a log, held against what is. An order counts only if
 * it stands in a log, names records below itself, lies within what was signed, and commits to exactly the leaves it
 * names. Memory is bounded by the ranges that orders name, not by the records.
 */
import { digestLeaves, parseRanges, type SeqRange } from "../../lib/seqs.ts";
import { type EnvelopeView, parseEnvelope } from "../envelope.ts";
import { type Violation, violationOf } from "./findings.ts";

/** deleted: the whole record, by retention. erased: its sealed part. */
export type OrderKind = "deleted" | "erased";

export interface Order {
  readonly kind: OrderKind;
  /** The log whose records it names, and the log and record it stands in. */
  readonly log: string;
  readonly from: string;
  readonly by: number;
  readonly ranges: readonly SeqRange[];
  readonly digest: string;
  /** The order record's own leaf. */
  readonly leaf: string;
}

export const orderEvents = ["retention.executed", "erasure.executed"] as const;
const kindByEvent: Readonly<Record<string, OrderKind>> = {
  "retention.executed": "deleted",
  "erasure.executed": "erased",
};

/** The order in an envelope; undefined for any other record. */
export function parseOrder(envelope: EnvelopeView, leaf: string): Order | undefined {
  const kind = kindByEvent[envelope.event];
  if (kind === undefined) return undefined;
  const { facts } = envelope;
  const seqs = facts[`${kind}Seqs`];
  const log = facts[`${kind}Log`] ?? envelope.log;
  if (typeof seqs !== "string" || typeof log !== "string") return undefined;
  const digest = typeof facts.digest === "string" ? facts.digest : "";
  const ranges = parseRanges(seqs) ?? [];
  return { kind, log, from: envelope.log, by: envelope.seq, ranges, digest, leaf };
}

/** A landmark is a record that must be known before its place is reached: an order, or one of the keys' history. */
export interface Landmark {
  readonly envelope: EnvelopeView;
  readonly leaf: string;
}

export const landmarkEvents = [...orderEvents, "lifecycle.started", "keys.rotated"] as const;

export function toLandmark(text: string, leaf: string): Landmark | undefined {
  const envelope = parseEnvelope(text);
  return envelope && { envelope, leaf };
}

interface Named {
  readonly order: Order;
  readonly leaves: string[];
  readonly missing: number[];
  readonly lastSeq: number;
}

export interface OrderBook {
  /** Takes the next record's leaf, and what of it is missing; the order that covers that, if one does. */
  pass(seq: number, leaf: string, missing: OrderKind | undefined): Order | undefined;
  /** Why a missing record is not covered. */
  refusal(seq: number): Violation;
  /** The first missing part whose order does not commit to what it names. */
  unsound(): Violation | undefined;
  /** The first missing part whose order is in none of the logs that were read. */
  unseen(seen: ReadonlySet<string>): Violation | undefined;
}

interface OrderEvidence {
  readonly signedSizes: ReadonlyMap<string, number>;
  readonly isWhole: boolean;
}

/**
 * The orders of one log, wherever they stand. `signedSizes`: what the largest checkpoint of a log covers, nothing or 0
 * where none is at hand. `isWhole`: every record of the log will pass, so digests can be held against leaves.
 */
export function createOrderBook(
  logId: string,
  orders: readonly Order[],
  { signedSizes, isWhole }: OrderEvidence,
): OrderBook {
  const own = orders.filter((order) => order.log === logId);
  const isAllowed = ({ from, by, ranges }: Order) => {
    const signedSize = signedSizes.get(from) ?? 0;
    if (signedSize > 0 && by > signedSize) return false;
    return from !== logId || ranges.every(({ to }) => to < by);
  };
  const named = own.filter(isAllowed).map(
    (order): Named => ({
      order,
      leaves: [],
      missing: [],
      lastSeq: order.ranges.reduce((last, { to }) => Math.max(last, to), 0),
    }),
  );
  const ranges = named
    .flatMap((one) => one.order.ranges.map((range) => ({ ...range, one })))
    .sort((a, b) => a.from - b.from);
  let active: typeof ranges = [];
  let next = 0;
  let firstUnsound: Violation | undefined;

  function pass(seq: number, leaf: string, missing: OrderKind | undefined): Order | undefined {
    while ((ranges[next]?.from ?? Number.POSITIVE_INFINITY) <= seq) {
      active.push(...ranges.slice(next, next + 1));
      next += 1;
    }
    if (active.length === 0) return undefined;
    const naming = active.filter(({ from, to }) => from <= seq && seq <= to);
    for (const { one } of naming) one.leaves.push(leaf);
    const covering = findCovering(naming, missing);
    covering?.missing.push(seq);
    for (const { to, one } of active) if (to <= seq && one.lastSeq <= seq) checkDigest(one);
    active = active.filter(({ to }) => to > seq);
    return covering?.order;
  }

  /** What was ordered away whole may be gone in its sealed part alone: a spool keeps envelopes for longer. */
  function findCovering(naming: typeof ranges, missing: OrderKind | undefined): Named | undefined {
    const ofKind = (kind: OrderKind) => naming.find(({ one }) => one.order.kind === kind)?.one;
    if (missing === undefined) return undefined;
    return missing === "erased" ? (ofKind("erased") ?? ofKind("deleted")) : ofKind("deleted");
  }

  /** Some of what an order names may lie before the first record at hand: then its digest tells nothing. */
  function checkDigest({ order, leaves, missing }: Named): void {
    const [seq] = missing;
    const named = order.ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    if (
      !isWhole ||
      leaves.length < named ||
      seq === undefined ||
      digestLeaves(leaves) === order.digest
    )
      return;
    const why = `the order ${order.by} that names it does not commit to it`;
    if (firstUnsound === undefined || firstUnsound.seq > seq) {
      firstUnsound = violationOf(seq, "fake-tombstone", why);
    }
  }

  function refusal(seq: number): Violation {
    const said = own.find(
      (order) => !isAllowed(order) && order.ranges.some(({ from, to }) => from <= seq && seq <= to),
    );
    if (said === undefined) {
      return violationOf(seq, "removed-tombstone", "it is missing, and no order covers it");
    }
    const why = `the order ${said.by} that names it is not one that was signed so far`;
    return violationOf(seq, "fake-tombstone", why);
  }

  function unseen(seen: ReadonlySet<string>): Violation | undefined {
    const one = named.find(({ order, missing }) => missing.length > 0 && !seen.has(order.leaf));
    if (one === undefined) return undefined;
    const why = `the order ${one.order.by} that names it does not stand in the log`;
    return violationOf(one.missing[0] ?? 0, "fake-tombstone", why);
  }

  return { pass, refusal, unsound: () => firstUnsound, unseen };
}
