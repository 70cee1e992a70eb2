/**
 * The audit copy over SQL: append with fork detection, scan, prune down to the leaf. Part of `sql-store.ts`. What a
 * filter means is in `audit-filter.ts`, how a row is laid out in `audit-row.ts`, how it gets in in `audit-insert.ts`
 * and how it is found in `audit-search.ts`.
 */
import type { Kysely, Transaction } from "kysely";
import { emptyRows } from "./audit-emptying.ts";
import { livePrunable } from "./audit-filter.ts";
import { createAppend } from "./audit-insert.ts";
import { byLog, isAmong, numberOf, readLogIds, readNumbers } from "./audit-logs.ts";
import { prunedColumns } from "./audit-row.ts";
import { scan } from "./audit-search.ts";
import { summarize } from "./audit-summary.ts";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { Tables } from "./schema.ts";
import type { AuditErasing } from "./sql-erasure.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import type { AuditPlace, AuditStore } from "./store.ts";

export function createAuditStore(
  dialect: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
): Omit<AuditStore, keyof AuditErasing> {
  const { db } = dialect;
  const append = createAppend(dialect, guard, limits);
  return {
    append,
    async replace(rows) {
      for (const batch of chunksOf(rows, limits.rowsPerStatementMax)) {
        // Where a crash comes between, the rows are missing, and put back the next time.
        await guard(() => db.transaction().execute((transaction) => remove(transaction, batch)));
        await append(batch);
      }
    },
    head: (logId) => guard(() => dialect.readInOrder((reading) => readHead(reading, logId))),
    scan: (query) => guard(() => scan(dialect, query, limits)),
    summarize: (query) => guard(() => summarize(db, query)),
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
    prune: (places) =>
      emptyRows(dialect, guard, limits, places, { columns: prunedColumns, held: "envelope" }),
  };
}

/** The last record of a log. */
async function readHead(db: Kysely<Tables>, logId: string) {
  const logs = await readNumbers(db, [logId]);
  return await db
    .selectFrom("audit_records")
    .select(["seq", "leaf"])
    .where("log", "=", numberOf(logs, { logId }))
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** In every partition: whoever inserts a number twice puts it into another month. */
async function remove(db: Transaction<Tables>, places: readonly AuditPlace[]): Promise<void> {
  const logs = await readNumbers(db, [...new Set(places.map((place) => place.logId))]);
  for (const [logId, own] of byLog(places)) {
    await db
      .deleteFrom("audit_records")
      .where(
        isAmong(
          numberOf(logs, { logId }),
          own.map((place) => place.seq),
        ),
      )
      .execute();
  }
}
