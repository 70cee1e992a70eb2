/**
 * Which records may lawfully be gone, whole or in their sealed part: what orders of retention and erasure name, where
 * the order commits to exactly these leaves; and which sealed parts must not be written again. Asked by the monitor
 * when it misses something and before it heals. Orders stand in the logs of all nodes, because any node may run them.
 */
import { digestLeaves, parseSeqs } from "../../lib/seqs.ts";
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import { type EnvelopeView, leafOf, parseEnvelope } from "../envelope.ts";
import { parsePart } from "../sealing.ts";

export interface LawfulAbsence {
  /** Reads orders that came since the last time; `leaves` gives this log's own, those it has. */
  refresh(leaves: LeafRange): Promise<void>;
  mayBeGone(seq: number, what: "row" | "details"): boolean;
  /**
   * Whether healing may write this sealed part of a record: not where an order names it, whether or not it holds yet,
   * and not where the log says that one of its keys was destroyed.
   */
  mayBeWritten(seq: number, details: string): boolean;
}

type LeafRange = (from: number, to: number) => readonly string[];

interface Order {
  readonly what: "row" | "details";
  readonly seqs: readonly number[];
  readonly digest: string;
}

interface Span {
  readonly what: Order["what"];
  readonly from: number;
  readonly to: number;
}

const kinds = [
  { event: "retention.executed", log: "deletedLog", seqs: "deletedSeqs", what: "row" },
  { event: "erasure.executed", log: "erasedLog", seqs: "erasedSeqs", what: "details" },
] as const;
const destruction = "keys.destroyed";
const pageRows = 500;
/** More than any order names. */
const seqsMax = 100_000;

export function createLawfulAbsence(store: Pick<AuditStore, "scan">, logId: string): LawfulAbsence {
  /** Sorted neither way; ranges, because retention deletes what lies side by side. */
  const ranges: Span[] = [];
  /** What orders of erasure name that do not hold, as of the last look. */
  let doubtful: readonly Span[] = [];
  const destroyed = new Set<string>();
  const seen = new Set<string>();

  async function refresh(leaves: LeafRange): Promise<void> {
    const failing: Span[] = [];
    for (const kind of kinds) {
      for await (const { key, view } of unseen(kind.event)) {
        const order = parseOrder(view, kind, logId);
        // One that does not hold now is looked at again: leaves come with the next checkpoint.
        if (order !== undefined && !holds(order, leaves)) failing.push(...toSpans(order));
        else {
          seen.add(key);
          if (order !== undefined) for (const range of toSpans(order)) ranges.push(range);
        }
      }
    }
    for await (const { key, view } of unseen(destruction)) {
      seen.add(key);
      if (typeof view?.facts.key === "string") destroyed.add(view.facts.key);
    }
    doubtful = failing;
  }

  async function* unseen(event: string) {
    for await (const row of scanEvent(store, event)) {
      const key = `${row.logId} ${row.seq}`;
      if (!seen.has(key)) yield { key, view: readEnvelope(row, event) };
    }
  }

  function isUnderDestroyed(details: string): boolean {
    const part = parsePart(details);
    return typeof part === "object" && (destroyed.has(part.subject) || destroyed.has(part.class));
  }

  return {
    refresh,
    mayBeGone: (seq, what) =>
      ranges.some((range) => covers(range, seq) && (range.what === "row" || range.what === what)),
    mayBeWritten: (seq, details) =>
      !isUnderDestroyed(details) &&
      ![...ranges, ...doubtful].some((range) => range.what === "details" && covers(range, seq)),
  };
}

function covers({ from, to }: Span, seq: number): boolean {
  return from <= seq && seq <= to;
}

async function* scanEvent(store: Pick<AuditStore, "scan">, event: string) {
  let after: { readonly logId: string; readonly seq: number } | undefined;
  do {
    const page = await store.scan({
      filter: { event },
      ...(after === undefined ? {} : { after }),
      limit: pageRows,
      order: "ascending",
    });
    yield* page.rows;
    after = page.next;
  } while (after !== undefined);
}

function readEnvelope(row: AuditRow, event: string): EnvelopeView | undefined {
  if (row.envelope === null || leafOf(row.envelope) !== row.leaf) return undefined;
  const envelope = parseEnvelope(row.envelope);
  return envelope?.event === event ? envelope : undefined;
}

function parseOrder(
  envelope: EnvelopeView | undefined,
  kind: (typeof kinds)[number],
  logId: string,
): Order | undefined {
  if (envelope === undefined) return undefined;
  const { [kind.log]: log = envelope.log, [kind.seqs]: text, digest } = envelope.facts;
  if (log !== logId || typeof text !== "string" || typeof digest !== "string") return undefined;
  const seqs = parseSeqs(text, seqsMax);
  return seqs && { what: kind.what, seqs, digest };
}

/** Orders of retention name long ranges, and each range is one reading of the tiles. */
function holds(order: Order, leaves: LeafRange): boolean {
  const own = toSpans(order).flatMap(({ from, to }) => leaves(from, to));
  return own.length === order.seqs.length && digestLeaves(own) === order.digest;
}

function toSpans({ what, seqs }: Order): readonly Span[] {
  const spans: { what: Order["what"]; from: number; to: number }[] = [];
  for (const seq of seqs) {
    const last = spans.at(-1);
    if (last?.to === seq - 1) last.to = seq;
    else spans.push({ what, from: seq, to: seq });
  }
  return spans;
}
