/**
 * How audit rows get into their table: each number of a log once, whatever month its row lies in. What is there already
 * is looked up while no one else can add to the log, so the same rows may come again after a commit of which nothing
 * is known (ST-03), and another record of a known number is a fork. Part of `sql-audit.ts`.
 *
 * One insert of many rows, because of the ways that were measured through `pg` none is better by more than the noise:
 * the time goes into fourteen indexes. Rows a second of 1.6 KB on two busy cores, PostgreSQL 15, batches of 256, 512,
 * 1024 and 2048 (`test/bench/audit-append.ts`): many rows 7652, 8196, 8899, 7630; unnest 6938, 7745, 3270, 9234; COPY
 * 8238, 9833, 6723, 7812. For SQLite see `createInsertion`.
 */
import { CompiledQuery, type Transaction } from "kysely";
import { byLog, isAmong, numberLogs, numberOf } from "./audit-logs.ts";
import { anyRow, toAuditTable } from "./audit-row.ts";
import { chunksOf, powerOfTwoChunks } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { Tables } from "./schema.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import { type AuditRow, type AuditStore, StoreError } from "./store.ts";

export function createAppend(
  dialect: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
): AuditStore["append"] {
  const insertion = createInsertion(dialect, limits);
  return async (rows) => {
    for (const batch of chunksOf(rows, limits.rowsPerTransactionMax)) {
      await guard(async () => {
        await dialect.makeRoom(batch.map((row) => row.timeMs));
        await dialect.db
          .transaction()
          .execute((transaction) => insert(transaction, dialect, batch, insertion));
      });
    }
  };
}

interface Insertion {
  readonly rowsPerStatementMax: number;
  /** The insert for so many rows. */
  textFor(rowCount: number): string;
}

/** No wire here that many statements would cost. Measured a record from spool to commit: 512 rows 28.7 us, 64 rows 26.7. */
const sqliteRowsMax = 64;

/**
 * Building a text costs more than running it, and each new one is prepared anew by the database, so batches are cut to
 * sizes that are powers of two and each size has one text.
 *
 * SQLite is told not to undo a statement that fails, because its transaction is undone then: to undo one, it would write
 * every page that a statement changes to a temporary file first.
 */
function createInsertion({ db, description }: SqlDialect, limits: SqlStoreLimits): Insertion {
  const isSqlite = description.kind === "sqlite";
  const into = db.insertInto("audit_records");
  const texts = new Map<number, string>();
  return {
    rowsPerStatementMax: Math.min(
      limits.rowsPerStatementMax,
      isSqlite ? sqliteRowsMax : Number.POSITIVE_INFINITY,
    ),
    textFor(rowCount) {
      const known = texts.get(rowCount);
      if (known !== undefined) return known;
      const values = Array.from({ length: rowCount }, () => toAuditTable(anyRow, 0));
      const { sql } = (isSqlite ? into.orFail() : into).values(values).compile();
      texts.set(rowCount, sql);
      return sql;
    },
  };
}

async function insert(
  db: Transaction<Tables>,
  dialect: SqlDialect,
  rows: readonly AuditRow[],
  { rowsPerStatementMax, textFor }: Insertion,
): Promise<void> {
  const logs = await numberLogs(db, rows);
  await dialect.beginAppend(db, [...logs.values()]);
  const missing: AuditRow[] = [];
  for (const [logId, own] of byLog(rows)) {
    missing.push(...(await findMissing(db, logId, own, numberOf(logs, { logId }))));
  }
  for (const some of powerOfTwoChunks(missing, rowsPerStatementMax)) {
    const parameters = some.flatMap((row) => Object.values(toAuditTable(row, numberOf(logs, row))));
    // Given to `raw`, the parameters would be frozen, which is slow for thousands of them and makes posting them slow.
    await db.executeQuery({ ...CompiledQuery.raw(textFor(some.length)), parameters });
  }
}

/** The rows of one log that are not there yet, each once. Throws where one of them is there with another leaf. */
async function findMissing(
  db: Transaction<Tables>,
  logId: string,
  rows: readonly AuditRow[],
  log: number,
): Promise<readonly AuditRow[]> {
  const wanted = new Map(rows.map((row) => [row.seq, row]));
  for (const row of rows) refuseFork(logId, row, wanted.get(row.seq)?.leaf ?? row.leaf);
  const missing = new Map(wanted);
  const stored = await db
    .selectFrom("audit_records")
    .select(["seq", "leaf"])
    .where(isAmong(log, [...wanted.keys()]))
    .execute();
  for (const { seq, leaf } of stored) {
    const row = wanted.get(seq);
    if (row === undefined) continue;
    refuseFork(logId, row, leaf);
    missing.delete(seq);
  }
  return [...missing.values()];
}

function refuseFork(logId: string, { seq, leaf }: AuditRow, stored: string): void {
  if (stored === leaf) return;
  throw new StoreError(
    "corrupt",
    `log ${logId} forks at record ${seq}: the database holds leaf ${stored}, the log ${leaf}`,
  );
}
