/** Counts of the audit copy's rows by some of their columns, newest rows first and so many at most. Part of `sql-audit.ts`. */
import { type Kysely, sql } from "kysely";
import { matching } from "./audit-filter.ts";
import type { Tables } from "./schema.ts";
import type { AuditSummary, AuditSummaryQuery, SummaryColumn } from "./store.ts";

interface Group extends Readonly<Partial<Record<SummaryColumn, string | null>>> {
  readonly records: number;
  readonly first_ms: number;
  readonly last_ms: number;
}

export async function summarize(
  db: Kysely<Tables>,
  { filter, by, rowsMax, groupsMax }: AuditSummaryQuery,
): Promise<AuditSummary> {
  const columns = sql.join(by.map((column) => sql.ref(column)));
  const newest = db
    .selectFrom("audit_records")
    .select([...by, "time_ms"])
    .where("envelope", "is not", null)
    .where(matching(filter))
    .orderBy("time_ms", "desc")
    .orderBy("log", "desc")
    .orderBy("seq", "desc")
    .limit(rowsMax + 1);
  const { rows } = await sql<Group>`
    select ${columns}, count(*) as records, min(time_ms) as first_ms, max(time_ms) as last_ms
    from (${newest}) newest group by ${columns} order by records desc, ${columns}`.execute(db);
  const counted = rows.reduce((sum, { records }) => sum + records, 0);
  return {
    groups: rows.slice(0, groupsMax).map(({ first_ms, last_ms, ...group }) => ({
      ...group,
      firstTimeMs: first_ms,
      lastTimeMs: last_ms,
    })),
    isComplete: counted <= rowsMax,
  };
}
