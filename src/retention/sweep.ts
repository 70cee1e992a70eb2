/**
 * Takes away what is left of records whose keys were destroyed: their sealed parts in the database's copy and in this
 * node's spool, going by the spool first, batch by batch, each ordered in the log before. Each step may be done again, so a
 * run that a crash cut short is finished by the next one. Called by `erasure.ts`.
 *
 * A node sweeps its own log, and the logs of nodes that are not there; the others sweep theirs. So each spool that is
 * verified by itself holds the orders of what is missing in it.
 */
import type { Clock } from "../lib/clock.ts";
import type { AuditStore, SealedQuery } from "../storage/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Sweep } from "../vault/sweeps.ts";
import { createOrders, type OrderAudit, type RecordPlace, type Verifying } from "./orders.ts";

/** The audit log as far as erasure needs it; `OpenAuditLog` fits. */
export interface SweptLog extends OrderAudit {
  /** Resolves when everything appended so far is synced. */
  flush(): Promise<void>;
  status(): { readonly logId: string; readonly syncedSeq: number };
  /** Empties what these keys opened in the spool's files; resolves with how many records it was. */
  shred(keys: readonly string[]): Promise<number>;
  /** A page of the spool's records that `shred` would empty, and the number it came to. */
  sealedUnder(
    keys: readonly string[],
    look: { readonly afterSeq: number; readonly untilSeq: number; readonly framesMax: number },
  ): Promise<{
    readonly found: readonly { readonly seq: number; readonly leaf: string }[];
    readonly seq: number;
  }>;
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
/** Tokens asked for in one query: each is a look into the index, and all of them have one deadline. */
const principalsPerQueryMax = 100_000;
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
    const spooled = await sweepSpooled(keys, { logId, seq: syncedSeq });
    await log.shred(keys);
    // The rest. From now on healing finds nothing to put back; what it did before, out of the spool, goes as well.
    return spooled + (await sweepStored(sweeps, otherLogs));
  };

  /**
   * Goes by the spool and not by the database: what others emptied there while this node was away is still in its spool,
   * and no order of its log names it. First, so that nobody has to remember what was ordered on the other way.
   * Cut short, it begins anew and orders again what is still in the spool: which of a person's records were named would
   * be a set as large as they are, because runs for other keys name records in between.
   */
  async function sweepSpooled(keys: readonly string[], until: RecordPlace): Promise<number> {
    const { logId, seq: untilSeq } = until;
    let swept = 0;
    for (let afterSeq = 0; afterSeq < untilSeq; ) {
      const look = { afterSeq, untilSeq, framesMax: batchMax };
      const { found, seq } = await log.sealedUnder(keys, look);
      const rows = found.map((frame) => ({ logId, ...frame }));
      await orders.give("erasure.executed", rows, { facts: {}, details: {} });
      swept += await eraseRows(rows);
      afterSeq = seq;
    }
    return swept;
  }

  async function sweepStored(
    sweeps: readonly Sweep[],
    otherLogs: readonly string[],
  ): Promise<number> {
    let swept = 0;
    for (const query of toQueries(sweeps)) {
      swept += await sweepRows({ ...query, exceptLogs: otherLogs });
    }
    return swept;
  }

  async function sweepRows(query: SealedQuery): Promise<number> {
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
      swept += gone;
      // What is emptied is not looked through again: the rows come in the order of their time.
      fromMs = rows.at(-1)?.timeMs;
    }
  }

  async function eraseRows(rows: readonly RecordPlace[]): Promise<number> {
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
  for (const some of inEqualParts(subjects, subjectsPerQuery(subjects))) {
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

function subjectsPerQuery(subjects: readonly Sweep[]): number {
  const most = subjects.reduce((max, { principals }) => Math.max(max, principals?.length ?? 0), 1);
  return Math.max(1, Math.min(keysPerQueryMax, Math.floor(principalsPerQueryMax / most)));
}

/** As few parts as there can be with at most `max` in each, so that nobody is left over in one alone. */
function inEqualParts<T>(list: readonly T[], max: number): readonly (readonly T[])[] {
  const count = Math.ceil(list.length / max);
  const startOf = (part: number) => Math.floor((part * list.length) / count);
  return Array.from({ length: count }, (_, part) => list.slice(startOf(part), startOf(part + 1)));
}
