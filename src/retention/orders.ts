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

export interface RecordPlace {
  readonly logId: string;
  readonly seq: number;
}

/** Those who verify the log while something is taken out of it. */
export interface Verifying {
  /** Whether a verifier at the spool, and one at the database, finds this record of this node's log signed. */
  isWitnessed(record: RecordPlace): Promise<boolean>;
  /** Resolves once the verifications that are under way have ended: they know no order given since they began. */
  untilRead(): Promise<void>;
}

export interface OrderedRow {
  readonly logId: string;
  readonly seq: number;
  readonly leaf: string;
}

export interface Orders {
  /**
   * Records what is to go, in as many orders as it takes, and resolves when all of them stand in the database and under a
   * signed checkpoint: to whoever verifies, an order that nobody signed looks like one that was forged.
   */
  give(
    event: OrderEvent,
    rows: readonly OrderedRow[],
    more: { readonly facts: Values; readonly details: Readonly<Record<string, string>> },
  ): Promise<void>;
  /** Resolves when the same is true of this record and all before it; rejects where it does not come in time. */
  untilVouched(record: RecordPlace): Promise<void>;
}

/** Rows one order may name: its text fits into a record whatever the numbers are. */
export const orderRowsMax = 500;

/** Rows ordered away together: a checkpoint that covers their orders comes every two seconds, not for each of them. */
export const orderedRowsMax = 20_000;

const caughtUpMs = 1_000;
const shippedPollMs = 10;
const shippedTriesMax = 500;
const witnessedPollMs = 50;
const witnessedTriesMax = 300;

export function createOrders(deps: {
  readonly store: Pick<AuditStore, "head">;
  readonly audit: OrderAudit;
  readonly verifying: Verifying;
  readonly clock: Clock;
}): Orders {
  const { store, audit, clock, verifying } = deps;

  const give: Orders["give"] = async (event, rows, { facts, details }) => {
    let last: RecordPlace | undefined;
    for (const [logId, ofLog] of Map.groupBy(rows, (row) => row.logId)) {
      for (const some of chunksOf(ofLog, orderRowsMax)) {
        last = await audit.append(
          {
            event,
            class: "A",
            timeMs: clock.nowMs(),
            facts: { ...describe(verbs[event], logId, some), ...facts, status: "ok" },
            details,
          },
          "synced",
        );
      }
    }
    if (last === undefined) return;
    await untilVouched(last);
    await verifying.untilRead();
  };

  const untilVouched: Orders["untilVouched"] = async (record) => {
    await untilShipped(record);
    for (let tries = 0; tries < witnessedTriesMax; tries += 1) {
      if (await verifying.isWitnessed(record)) return;
      await new Promise((resolve) => setTimeout(resolve, witnessedPollMs));
    }
    throw new GatewayError(
      "overloaded",
      "The record of the deletion was not signed in time, so nothing was deleted.",
    );
  };

  async function untilShipped({ logId, seq }: RecordPlace): Promise<void> {
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
  }

  return { give, untilVouched };
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

function* chunksOf<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
