/**
 * Takes away what is left of records whose keys were destroyed: their sealed parts in the database's copy and in this
 * node's spool, batch by batch, each ordered in the log first. Each step may be done again, so a run that a crash cut
 * short is finished by the next one. Called by `erasure.ts`.
 *
 * A node sweeps its own log, and the logs of nodes that are not there; the others sweep theirs. So each spool that is
 * verified by itself holds the orders of what is missing in it.
 */
import type { Clock } from "../lib/clock.ts";
import type { AuditStore, SealedQuery, SealedRow } from "../storage/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Sweep } from "../vault/sweeps.ts";
import { createOrders, type OrderAudit, type Verifying } from "./orders.ts";

/** The audit log as far as erasure needs it; `OpenAuditLog` fits. */
export interface SweptLog extends OrderAudit {
  /** Resolves when everything appended so far is synced. */
  flush(): Promise<void>;
  status(): { readonly logId: string; readonly syncedSeq: number };
  /** Empties what these keys opened in the spool's files; resolves with how many records it was. */
  shred(keys: readonly string[]): Promise<number>;
  /** The spool's records that `shred` would empty, but for those of these numbers. */
  sealedUnder(
    keys: readonly string[],
    except: readonly number[],
  ): Promise<readonly { readonly seq: number; readonly leaf: string }[]>;
}

export interface SweeperDeps {
  readonly store: AuditStore;
  readonly log: SweptLog;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  readonly verifying: Verifying;
  /** Rows ordered away together, and held in memory meanwhile. */
  readonly batchMax: number;
  readonly isStopped: () => boolean;
}

/** Resolves with how many rows were swept; rejects where not all could be. No record may name the keys any more. */
export type Sweeper = (sweeps: readonly Sweep[], otherLogs: readonly string[]) => Promise<number>;

/** Keys asked for in one query. */
const keysPerQueryMax = 100;
/** Rows emptied before something else has its turn. */
const erasedTogetherMax = 1_000;

export function createSweeper(deps: SweeperDeps): Sweeper {
  const { store, log, clock, metrics, verifying, batchMax } = deps;
  const orders = createOrders({ store, audit: log, verifying, clock });

  return async (sweeps, otherLogs) => {
    // What was sealed under the keys before they were forgotten stands in the database now, or is not swept yet.
    await log.flush();
    const { logId, syncedSeq } = log.status();
    await orders.untilVouched({ logId, seq: syncedSeq });
    const keys = sweeps.map((sweep) => sweep.key);
    const own: number[] = [];
    const swept = await sweepAll(sweeps, otherLogs, own);
    await orderSpooled(keys, own);
    await log.shred(keys);
    // From now on healing finds nothing to put back; what it did before, out of the spool, goes as well.
    return swept + (await sweepAll(sweeps, otherLogs, own));
  };

  /** What others emptied in the database while this node was away is still in its spool: no order of its log names it. */
  async function orderSpooled(keys: readonly string[], ordered: readonly number[]): Promise<void> {
    const { logId } = log.status();
    const rest = await log.sealedUnder(keys, ordered);
    for (let at = 0; at < rest.length; at += batchMax) {
      const rows = rest.slice(at, at + batchMax).map((frame) => ({ logId, ...frame }));
      await orders.give("erasure.executed", rows, { facts: {}, details: {} });
    }
  }

  /** Adds the numbers of this node's own records that were swept to `own`. */
  async function sweepAll(
    sweeps: readonly Sweep[],
    otherLogs: readonly string[],
    own: number[],
  ): Promise<number> {
    let swept = 0;
    for (const query of toQueries(sweeps)) {
      swept += await sweepRows({ ...query, exceptLogs: otherLogs }, own);
    }
    return swept;
  }

  async function sweepRows(query: SealedQuery, own: number[]): Promise<number> {
    const { logId } = log.status();
    let swept = 0;
    let fromMs = query.fromMs;
    while (true) {
      const from = fromMs === undefined ? {} : { fromMs };
      const rows = await store.sealed({ ...query, ...from, limit: batchMax });
      if (rows.length === 0) return swept;
      await orders.give("erasure.executed", rows, { facts: {}, details: {} });
      const gone = await eraseRows(rows);
      // A store that empties nothing would otherwise be asked for ever.
      if (gone === 0) throw new Error("the database did not empty what was ordered");
      for (const row of rows) if (row.logId === logId) own.push(row.seq);
      swept += gone;
      // What is emptied is not looked through again: the rows come in the order of their time.
      fromMs = rows.at(-1)?.timeMs;
    }
  }

  async function eraseRows(rows: readonly SealedRow[]): Promise<number> {
    let gone = 0;
    for (let at = 0; at < rows.length; at += erasedTogetherMax) {
      if (deps.isStopped()) throw new Error("stopped before all was swept");
      const emptied = await store.erase(rows.slice(at, at + erasedTogetherMax));
      metrics.count("mcp_gateway_erasure_records_total", {}, emptied);
      gone += emptied;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return gone;
  }
}

/**
 * Subjects are asked for together, so that one order names records of several of them and shows nobody whose they are
 * (PV-14). Of a class's month it is no secret what belongs to it.
 */
function toQueries(sweeps: readonly Sweep[]): readonly SealedQuery[] {
  const queries: SealedQuery[] = [];
  const subjects = sweeps.filter((sweep) => sweep.purpose === "subject");
  for (let at = 0; at < subjects.length; at += keysPerQueryMax) {
    const some = subjects.slice(at, at + keysPerQueryMax);
    const isKnown = some.every((sweep) => sweep.principals !== null);
    queries.push({
      of: "subject",
      keys: some.map((sweep) => sweep.key),
      ...(isKnown ? { principals: some.flatMap((sweep) => sweep.principals ?? []) } : {}),
    });
  }
  for (const sweep of sweeps) {
    if (sweep.purpose !== "class") continue;
    queries.push({
      of: "class",
      keys: [sweep.key],
      ...(sweep.fromMs === null ? {} : { fromMs: sweep.fromMs }),
      ...(sweep.untilMs === null ? {} : { untilMs: sweep.untilMs }),
    });
  }
  return queries;
}
