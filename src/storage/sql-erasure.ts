/**
 * The part of the audit copy that erasure uses: finding the rows sealed under a key, and taking their sealed parts
 * away. Part of `sql-store.ts`. A sealed part is text that begins with its two keys' ids at fixed places, so that no
 * column and no index has to be written for each record only because one day somebody may be erased.
 */
import { type Expression, expressionBuilder, type Kysely, type SqlBool, sql } from "kysely";
import { emptyRows } from "./audit-emptying.ts";
import { readLogIds, readNumbers } from "./audit-logs.ts";
import type { SqlDialect } from "./dialect.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import type { AuditStore, SealedQuery } from "./store.ts";

export type AuditErasing = Pick<AuditStore, "sealed" | "countSealed" | "oldestTokenMs" | "erase">;

/** What erasing empties: the sealed part, and the columns that were derived from it. */
const erasedColumns = {
  details: null,
  principal: null,
  client: null,
  session: null,
} as const satisfies Partial<AuditRecordsTable>;

/** `{"v":1,"subject":"` and `","class":"`: where the ids begin, counted from 1 as SQL does. */
const idPlaces = { subject: 19, class: 46 } as const;
const idLength = 16;

const sealedColumns = ["log", "seq", "leaf", "time_ms"] as const;
/** Rows of one answer: a few numbers each, so more than of whole records. */
const sealedRowsMax = 50_000;
/** With more subjects than these a statement of one part for each is longer to plan than it saves. */
const principalsApartMax = 16;

export function createAuditErasing(
  dialect: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
): AuditErasing {
  const { db } = dialect;
  return {
    sealed: (query) =>
      guard(async () => {
        const found = await oldestSealed(db, query, await numbersOf(db, query.exceptLogs ?? []));
        const logIds = await readLogIds(db, found);
        return found.map(({ log, time_ms, ...rest }) => {
          return { logId: logIds.get(log) ?? "", timeMs: time_ms, ...rest };
        });
      }),
    countSealed: (query) =>
      guard(async () => {
        const { sealed } = await db
          .selectFrom("audit_records")
          .select((eb) => eb.fn.countAll<number>().as("sealed"))
          .where(isSealed(query, await numbersOf(db, query.exceptLogs ?? [])))
          .executeTakeFirstOrThrow();
        return sealed;
      }),
    oldestTokenMs: () =>
      guard(async () => {
        const oldest = await db
          .selectFrom("audit_records")
          .select("time_ms")
          .where("envelope", "is not", null)
          .where(({ or, eb }) =>
            or([
              eb("principal", "is not", null),
              eb("client", "is not", null),
              eb("session", "is not", null),
            ]),
          )
          .orderBy("time_ms")
          .limit(1)
          .executeTakeFirst();
        return oldest?.time_ms;
      }),
    erase: (places) =>
      emptyRows(dialect, guard, limits, places, { columns: erasedColumns, held: "details" }),
  };
}

/**
 * Each subject's rows are read off the index by principal in the order of time, so that the first of a million cost
 * no more than they would alone: with all subjects in one condition the database sorts the million for every batch.
 */
async function oldestSealed(
  db: Kysely<Tables>,
  query: SealedQuery & { readonly limit: number },
  exceptLogs: readonly number[],
) {
  const limit = Math.min(query.limit, sealedRowsMax);
  const { principals } = query;
  const each =
    principals === undefined || principals.length > principalsApartMax
      ? [query]
      : principals.map((principal) => ({ ...query, principals: [principal] }));
  const [first, ...others] = each.map((one) =>
    byTime(
      db.selectFrom("audit_records").select(sealedColumns).where(isSealed(one, exceptLogs)),
    ).limit(limit),
  );
  if (first === undefined) return [];
  const whole = (rows: typeof first) =>
    db.selectFrom(rows.as("audit_records")).select(sealedColumns);
  const all = others.reduce((some, rows) => some.unionAll(whole(rows)), whole(first));
  return await byTime(db.selectFrom(all.as("audit_records")).select(sealedColumns))
    .limit(limit)
    .execute();
}

function byTime<Rows extends { orderBy(column: "time_ms" | "log" | "seq"): Rows }>(
  rows: Rows,
): Rows {
  return rows.orderBy("time_ms").orderBy("log").orderBy("seq");
}

async function numbersOf(db: Kysely<Tables>, logIds: readonly string[]): Promise<number[]> {
  return [...(await readNumbers(db, logIds)).values()];
}

function isSealed(query: SealedQuery, exceptLogs: readonly number[]): Expression<SqlBool> {
  const eb = expressionBuilder<Tables, "audit_records">();
  const { principals, fromMs, untilMs } = query;
  const id = sql<string>`substr(${sql.ref("details")}, ${sql.lit(idPlaces[query.of])}, ${sql.lit(idLength)})`;
  const conditions: Expression<SqlBool>[] = [
    eb("details", "is not", null),
    eb(id, "in", [...query.keys]),
  ];
  if (principals !== undefined) conditions.push(eb("principal", "in", [...principals]));
  if (fromMs !== undefined) conditions.push(eb("time_ms", ">=", fromMs));
  if (untilMs !== undefined) conditions.push(eb("time_ms", "<", untilMs));
  // A row that is pruned holds nothing; saying so lets the index by time be used.
  if (principals === undefined) conditions.push(eb("envelope", "is not", null));
  if (exceptLogs.length > 0) conditions.push(eb("log", "not in", [...exceptLogs]));
  return eb.and(conditions);
}
