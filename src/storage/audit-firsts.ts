/**
 * Which of many values have rows. A person stands under one token for each index key there has been, and under most of them
 * in no period that is asked for; with all of them in one list the database believes that it has to read most rows. So
 * each is looked up first. Used by `audit-candidates.ts`, `audit-driver.ts` and `audit-summary.ts`.
 */
import { type Expression, type Kysely, sql } from "kysely";
import { indexedParts } from "./audit-filter.ts";
import type { Tables } from "./schema.ts";
import type { AuditFilter } from "./store.ts";

interface First {
  readonly value: string;
  readonly time_ms: number;
}

/** The values that have a first row: one look into the index for each, in a statement planned as one part. */
export async function readFirsts(
  db: Kysely<Tables>,
  values: readonly string[],
  firstOf: (value: Expression<string>) => Expression<{ time_ms: number }>,
): Promise<readonly First[]> {
  const { rows } = await sql<{ readonly value: string; readonly time_ms: number | null }>`
    with wanted (value) as (values ${sql.join(values.map((value) => sql`(${value})`))})
    select value, (${firstOf(sql.ref("wanted.value"))}) as time_ms from wanted`.execute(db);
  return rows.flatMap(({ value, time_ms }) => (time_ms === null ? [] : [{ value, time_ms }]));
}

/** The filter with those values alone that have rows in its time; undefined where none of a list has. */
export async function narrow(
  db: Kysely<Tables>,
  filter: AuditFilter,
): Promise<AuditFilter | undefined> {
  let narrowed = filter;
  for (const { member, values, holds } of indexedParts(filter)) {
    if (values.length === 1) continue;
    const firsts = await readFirsts(db, values, (value) =>
      db
        .selectFrom("audit_records")
        .select("time_ms")
        .where("envelope", "is not", null)
        .where(holds(value))
        // The index's own order: the database has no reason to go by anything else.
        .orderBy("time_ms", "desc")
        .orderBy("log", "desc")
        .orderBy("seq", "desc")
        .limit(1),
    );
    if (firsts.length === 0) return undefined;
    narrowed = { ...narrowed, [member]: firsts.map(({ value }) => value) };
  }
  return narrowed;
}
