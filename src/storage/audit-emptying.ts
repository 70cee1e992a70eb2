/**
 * Empties columns of audit rows that stay: what retention prunes and erasure shreds, each with columns of its own. A
 * batch goes whole or not at all, and what it held leaves the database's journal as well. Used by `sql-audit.ts` and `sql-erasure.ts`.
 */
import type { Transaction } from "kysely";
import { byLog, isAmong, numberOf, readNumbers } from "./audit-logs.ts";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import type { AuditPlace } from "./store.ts";

export interface Emptying {
  readonly columns: Partial<AuditRecordsTable>;
  /** Rows in which this one is empty already are passed over and not counted. */
  readonly held: "envelope" | "details";
}

/** Returns how many rows were emptied. */
export async function emptyRows(
  dialect: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
  places: readonly AuditPlace[],
  emptying: Emptying,
): Promise<number> {
  let emptied = 0;
  for (const batch of chunksOf(places, limits.rowsPerStatementMax)) {
    emptied += await guard(() =>
      dialect.db.transaction().execute((transaction) => emptyBatch(transaction, batch, emptying)),
    );
  }
  if (emptied > 0) await guard(() => dialect.scrub());
  return emptied;
}

async function emptyBatch(
  db: Transaction<Tables>,
  places: readonly AuditPlace[],
  { columns, held }: Emptying,
): Promise<number> {
  const logs = await readNumbers(db, [...new Set(places.map((place) => place.logId))]);
  let emptied = 0;
  for (const [logId, own] of byLog(places)) {
    const seqs = own.map((place) => place.seq);
    const { numUpdatedRows } = await db
      .updateTable("audit_records")
      .set(columns)
      .where(isAmong(numberOf(logs, { logId }), seqs))
      .where(held, "is not", null)
      .executeTakeFirstOrThrow();
    emptied += Number(numUpdatedRows);
  }
  return emptied;
}
