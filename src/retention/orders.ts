/**
 * Orders: the records that say what is about to be taken out of the log, so that a gap can always be told from
 * tampering. Retention (`run.ts`) orders whole records away, erasure (`erasure.ts`) their sealed parts. An order is
 * synced, and stands in the database's copy, before anything goes.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { digestLeaves, renderSeqs } from "../lib/seqs.ts";
import type { AuditStore } from "../storage/store.ts";

type Values = Readonly<Record<string, string | number>>;

/** The audit log as far as orders need it; `AuditLog` fits. */
export interface OrderAudit {
  append(
    draft: {
      readonly event: OrderEvent | "keys.destroyed" | "keys.rotated" | "integrity.violation";
      readonly class: "A";
      readonly timeMs: number;
      readonly facts: Values;
      readonly details: Readonly<Record<string, string>>;
    },
    level: "synced",
  ): Promise<{ readonly logId: string; readonly seq: number }>;
  /** Hurries the copy, which otherwise collects. */
  caughtUp(withinMs: number): Promise<void>;
}

/** How the facts of each kind of order are called: `deletedLog`, `deletedSeqs` … */
const verbs = { "retention.executed": "deleted", "erasure.executed": "erased" } as const;
export type OrderEvent = keyof typeof verbs;

export interface OrderedRow {
  readonly logId: string;
  readonly seq: number;
  readonly leaf: string;
}

export interface Orders {
  /** Records what is to go, one order a log, and resolves when all of them stand in the database. */
  give(
    event: OrderEvent,
    rows: readonly OrderedRow[],
    more: { readonly facts: Values; readonly details: Readonly<Record<string, string>> },
  ): Promise<void>;
  /** Resolves when the database holds this record and all before it; rejects where it does not come in time. */
  untilShipped(record: { readonly logId: string; readonly seq: number }): Promise<void>;
}

/** Rows one order may name: its text fits into a record whatever the numbers are. */
export const orderRowsMax = 500;

const caughtUpMs = 1_000;
const shippedPollMs = 10;
const shippedTriesMax = 500;

export function createOrders(deps: {
  readonly store: Pick<AuditStore, "head">;
  readonly audit: OrderAudit;
  readonly clock: Clock;
}): Orders {
  const { store, audit, clock } = deps;

  const give: Orders["give"] = async (event, rows, { facts, details }) => {
    for (const [logId, ofLog] of Map.groupBy(rows, (row) => row.logId)) {
      const order = await audit.append(
        {
          event,
          class: "A",
          timeMs: clock.nowMs(),
          facts: { ...describe(verbs[event], logId, ofLog), ...facts, status: "ok" },
          details,
        },
        "synced",
      );
      await untilShipped(order);
    }
  };

  const untilShipped: Orders["untilShipped"] = async ({ logId, seq }) => {
    await audit.caughtUp(caughtUpMs);
    for (let tries = 0; tries < shippedTriesMax; tries += 1) {
      const head = await store.head(logId);
      if (head !== undefined && head.seq >= seq) return;
      await new Promise((resolve) => setTimeout(resolve, shippedPollMs));
    }
    throw new GatewayError(
      "overloaded",
      "The record of the deletion did not reach the database in time, so nothing was deleted.",
    );
  };

  return { give, untilShipped };
}

/** What the order commits to: exactly which rows, and the digest of their leaves. */
function describe(verb: (typeof verbs)[OrderEvent], logId: string, rows: readonly OrderedRow[]) {
  const seqs = rows.map((row) => row.seq).toSorted((a, b) => a - b);
  return {
    [`${verb}Log`]: logId,
    [`${verb}FromSeq`]: seqs[0] ?? 0,
    [`${verb}ToSeq`]: seqs.at(-1) ?? 0,
    [`${verb}Seqs`]: renderSeqs(seqs),
    count: rows.length,
    digest: digestLeaves(rows.map((row) => row.leaf)),
  };
}
