/**
 * Which records may lawfully be gone, whole or in their sealed part: what orders of retention and erasure name, where
 * the order commits to exactly these leaves. Asked by the monitor when it misses something. Orders stand in the logs of
 * all nodes, because any node may run them.
 */
import { digestLeaves, parseSeqs } from "../../lib/seqs.ts";
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import { leafOf, parseEnvelope } from "../envelope.ts";

export interface LawfulAbsence {
  /** Reads orders that came since the last time; `leaves` gives this log's own, those it has. */
  refresh(leaves: LeafRange): Promise<void>;
  mayBeGone(seq: number, what: "row" | "details"): boolean;
}

type LeafRange = (from: number, to: number) => readonly string[];

interface Order {
  readonly what: "row" | "details";
  readonly seqs: readonly number[];
  readonly digest: string;
}

const kinds = [
  { event: "retention.executed", log: "deletedLog", seqs: "deletedSeqs", what: "row" },
  { event: "erasure.executed", log: "erasedLog", seqs: "erasedSeqs", what: "details" },
] as const;
const pageRows = 500;
/** More than any order names. */
const seqsMax = 100_000;

export function createLawfulAbsence(store: Pick<AuditStore, "scan">, logId: string): LawfulAbsence {
  /** Sorted neither way; ranges, because retention deletes what lies side by side. */
  const ranges: { readonly what: Order["what"]; readonly from: number; readonly to: number }[] = [];
  const seen = new Set<string>();

  async function refresh(leaves: LeafRange): Promise<void> {
    for (const kind of kinds) {
      for await (const row of scanEvent(store, kind.event)) {
        const key = `${row.logId} ${row.seq}`;
        if (seen.has(key)) continue;
        const order = parseOrder(row, kind, logId);
        // One that does not hold now is looked at again: leaves come with the next checkpoint.
        if (order !== undefined && !holds(order, leaves)) continue;
        seen.add(key);
        if (order !== undefined) for (const range of toSpans(order)) ranges.push(range);
      }
    }
  }

  return {
    refresh,
    mayBeGone: (seq, what) =>
      ranges.some(
        (range) =>
          range.from <= seq && seq <= range.to && (range.what === "row" || range.what === what),
      ),
  };
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

function parseOrder(row: AuditRow, kind: (typeof kinds)[number], logId: string): Order | undefined {
  if (row.envelope === null || leafOf(row.envelope) !== row.leaf) return undefined;
  const envelope = parseEnvelope(row.envelope);
  if (envelope?.event !== kind.event) return undefined;
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

function toSpans({ what, seqs }: Order) {
  const spans: { what: Order["what"]; from: number; to: number }[] = [];
  for (const seq of seqs) {
    const last = spans.at(-1);
    if (last?.to === seq - 1) last.to = seq;
    else spans.push({ what, from: seq, to: seq });
  }
  return spans;
}
