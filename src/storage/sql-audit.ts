/**
 * The audit copy over SQL: append with fork detection, scan by key, prune down to the leaf. Part of `sql-store.ts`.
 * What a filter means is in `audit-filter.ts`, how a row is laid out in `audit-row.ts`.
 */
import { CompiledQuery, type Kysely, type Transaction } from "kysely";
import { livePrunable, matching } from "./audit-filter.ts";
import { anyRow, fromAuditTable, prunedColumns, toAuditTable } from "./audit-row.ts";
import { chunksOf, powerOfTwoChunks } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { Tables } from "./schema.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import { type AuditRow, type AuditStore, StoreError } from "./store.ts";

interface Place {
  readonly logId: string;
  readonly seq: number;
}

export function createAuditStore(
  { db }: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
): AuditStore {
  const textFor = createInsertTexts(db);
  return {
    async append(rows) {
      for (const batch of chunksOf(rows, limits.rowsPerTransactionMax)) {
        await guard(() =>
          db.transaction().execute((transaction) => insert(transaction, batch, textFor, limits)),
        );
      }
    },
    async replace(rows) {
      for (const batch of chunksOf(rows, limits.rowsPerStatementMax)) {
        await guard(() =>
          db.transaction().execute(async (transaction) => {
            const logs = await readNumbers(transaction, [
              ...new Set(batch.map((row) => row.logId)),
            ]);
            for (const [logId, own] of byLog(batch)) {
              await transaction
                .deleteFrom("audit_records")
                .where("log", "=", numberOf(logs, { logId }))
                .where(
                  "seq",
                  "in",
                  own.map((row) => row.seq),
                )
                .execute();
            }
            await insert(transaction, batch, textFor, limits);
          }),
        );
      }
    },
    head: (logId) =>
      guard(() =>
        db
          .selectFrom("audit_records")
          .innerJoin("audit_logs", "audit_logs.log", "audit_records.log")
          .select(["seq", "leaf"])
          .where("log_id", "=", logId)
          .orderBy("seq", "desc")
          .limit(1)
          .executeTakeFirst(),
      ),
    scan: (query) => guard(() => scan(db, query, limits)),
    prunable: (query) =>
      guard(async () => {
        const found = await db
          .selectFrom("audit_records")
          .select(["log", "seq", "leaf", "durability"])
          .where(livePrunable(query))
          .orderBy("time_ms")
          .orderBy("log")
          .orderBy("seq")
          .limit(Math.min(query.limit, limits.scanRowsMax))
          .execute();
        const logIds = await readLogIds(db, found);
        return found.map(({ log, ...rest }) => ({ logId: logIds.get(log) ?? "", ...rest }));
      }),
    countPrunable: (query) =>
      guard(async () => {
        const { live } = await db
          .selectFrom("audit_records")
          .select((eb) => eb.fn.countAll<number>().as("live"))
          .where(livePrunable(query))
          .executeTakeFirstOrThrow();
        return live;
      }),
    async prune(places) {
      let pruned = 0;
      for (const batch of chunksOf(places, limits.rowsPerStatementMax)) {
        pruned += await guard(() =>
          db.transaction().execute((transaction) => prune(transaction, batch)),
        );
      }
      return pruned;
    },
  };
}

type InsertText = (rowCount: number) => string;

/**
 * The insert for so many rows. Building it costs more than running it, and each new text is prepared anew by the
 * database, so batches are cut to sizes that are powers of two and each size has one text.
 */
function createInsertTexts(db: Kysely<Tables>): InsertText {
  const texts = new Map<number, string>();
  return (rowCount) => {
    const known = texts.get(rowCount);
    if (known !== undefined) return known;
    const values = Array.from({ length: rowCount }, () => toAuditTable(anyRow, 0));
    const { sql } = db
      .insertInto("audit_records")
      .values(values)
      .onConflict((conflict) => conflict.columns(["log", "seq"]).doNothing())
      .compile();
    texts.set(rowCount, sql);
    return sql;
  };
}

/** Commit status is unknown after a lost connection, so callers send batches again: same leaf, no matter (ST-03). */
async function insert(
  db: Transaction<Tables>,
  rows: readonly AuditRow[],
  textFor: InsertText,
  limits: SqlStoreLimits,
): Promise<void> {
  const logs = await numberLogs(db, rows);
  let inserted = 0n;
  for (const some of powerOfTwoChunks(rows, limits.rowsPerStatementMax)) {
    const parameters = some.flatMap((row) => Object.values(toAuditTable(row, numberOf(logs, row))));
    // Given to `raw`, the parameters would be frozen, which is slow for thousands of them and makes posting them slow.
    const query = { ...CompiledQuery.raw(textFor(some.length)), parameters };
    const { numAffectedRows } = await db.executeQuery(query);
    inserted += numAffectedRows ?? 0n;
  }
  if (inserted !== BigInt(rows.length)) await refuseFork(db, rows, logs);
}

type LogNumbers = ReadonlyMap<string, number>;

/** The numbers of the rows' logs; new logs get theirs. Asked anew each time, so no answer outlives its transaction. */
async function numberLogs(db: Transaction<Tables>, rows: readonly AuditRow[]): Promise<LogNumbers> {
  const logIds = [...new Set(rows.map((row) => row.logId))].sort();
  const known = await readNumbers(db, logIds);
  const added = logIds.filter((logId) => !known.has(logId));
  if (added.length === 0) return known;
  await db
    .insertInto("audit_logs")
    .values(added.map((log_id) => ({ log_id })))
    .onConflict((conflict) => conflict.column("log_id").doNothing())
    .execute();
  return await readNumbers(db, logIds);
}

async function readNumbers(db: Kysely<Tables>, logIds: readonly string[]): Promise<LogNumbers> {
  if (logIds.length === 0) return new Map();
  const found = await db
    .selectFrom("audit_logs")
    .selectAll()
    .where("log_id", "in", logIds)
    .execute();
  return new Map(found.map(({ log_id, log }) => [log_id, log]));
}

/** 0 where there is no such log: no record has that number. */
function numberOf(logs: LogNumbers, { logId }: Pick<Place, "logId">): number {
  return logs.get(logId) ?? 0;
}

async function readLogIds(
  db: Kysely<Tables>,
  rows: readonly { readonly log: number }[],
): Promise<ReadonlyMap<number, string>> {
  const wanted = [...new Set(rows.map((row) => row.log))];
  if (wanted.length === 0) return new Map();
  const found = await db.selectFrom("audit_logs").selectAll().where("log", "in", wanted).execute();
  return new Map(found.map(({ log, log_id }) => [log, log_id]));
}

async function refuseFork(
  db: Transaction<Tables>,
  rows: readonly AuditRow[],
  logs: LogNumbers,
): Promise<void> {
  for (const [logId, own] of byLog(rows)) {
    const seqs = own.map((row) => row.seq);
    const stored = await db
      .selectFrom("audit_records")
      .select(["seq", "leaf"])
      .where("log", "=", numberOf(logs, { logId }))
      .where("seq", "in", seqs)
      .execute();
    const leaves = new Map(stored.map((row) => [row.seq, row.leaf]));
    const fork = own.find((row) => leaves.get(row.seq) !== row.leaf);
    if (fork === undefined) continue;
    throw new StoreError(
      "corrupt",
      `log ${logId} forks at record ${fork.seq}: the database holds leaf ${leaves.get(fork.seq)}, the log ${fork.leaf}`,
    );
  }
}

async function scan(
  db: Kysely<Tables>,
  query: Parameters<AuditStore["scan"]>[0],
  limits: SqlStoreLimits,
): ReturnType<AuditStore["scan"]> {
  const limit = Math.max(1, Math.min(query.limit, limits.scanRowsMax));
  const { after } = query;
  const ascending = query.order === "ascending";
  let select = db.selectFrom("audit_records").selectAll().where(matching(query.filter));
  if (query.includePruned !== true) select = select.where("envelope", "is not", null);
  if (after !== undefined) {
    const log = (await readNumbers(db, [after.logId])).get(after.logId);
    if (log === undefined) return { rows: [], next: undefined };
    select = select.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("log", "seq"), ascending ? ">" : "<", tuple(log, after.seq)),
    );
  }
  // One row more than asked for tells whether there is a next page.
  const found = await select
    .orderBy("log", ascending ? "asc" : "desc")
    .orderBy("seq", ascending ? "asc" : "desc")
    .limit(limit + 1)
    .execute();
  const logIds = await readLogIds(db, found);
  const rows = found.slice(0, limit).map((row) => fromAuditTable(row, logIds.get(row.log) ?? ""));
  const last = found.length > limit ? rows.at(-1) : undefined;
  return { rows, next: last && { logId: last.logId, seq: last.seq } };
}

async function prune(db: Transaction<Tables>, places: readonly Place[]): Promise<number> {
  const logs = await readNumbers(db, [...new Set(places.map((place) => place.logId))]);
  let pruned = 0;
  for (const [logId, own] of byLog(places)) {
    const seqs = own.map((place) => place.seq);
    const { numUpdatedRows } = await db
      .updateTable("audit_records")
      .set(prunedColumns)
      .where("log", "=", numberOf(logs, { logId }))
      .where("seq", "in", seqs)
      .where("envelope", "is not", null)
      .executeTakeFirstOrThrow();
    pruned += Number(numUpdatedRows);
  }
  return pruned;
}

function byLog<T extends Place>(places: readonly T[]): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(places, (place) => place.logId);
}
