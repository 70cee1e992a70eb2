/** Counts of the audit copy's rows by some of their columns: of the newest, so many at most. Part of `sql-audit.ts`. */
import { type Kysely, sql } from "kysely";
import { matching } from "./audit-filter.ts";
import { narrow } from "./audit-firsts.ts";
import type { Tables } from "./schema.ts";
import type { AuditSummary, AuditSummaryQuery, SummaryColumn } from "./store.ts";

interface Group extends Readonly<Partial<Record<SummaryColumn, string | null>>> {
  /** One more than are counted, where there are more. */
  readonly found: number;
  readonly records: number;
  readonly first_ms: number;
  readonly last_ms: number;
}

export async function summarize(
  db: Kysely<Tables>,
  { filter, by, rowsMax, groupsMax }: AuditSummaryQuery,
): Promise<AuditSummary> {
  const narrowed = await narrow(db, filter);
  if (narrowed === undefined) return { groups: [], isComplete: true };
  const columns = sql.join(by.map((column) => sql.ref(column)));
  const newest = db
    .selectFrom("audit_records")
    .select([...by, "time_ms", "log", "seq"])
    .where("envelope", "is not", null)
    .where(matching(narrowed))
    .orderBy("time_ms", "desc")
    .orderBy("log", "desc")
    .orderBy("seq", "desc")
    .limit(rowsMax + 1);
  // The row past the last is looked for, not counted.
  const isCounted = sql`place <= ${rowsMax}`;
  const { rows } = await sql<Group>`
    select ${columns}, count(*) as found, count(*) filter (where ${isCounted}) as records,
      min(time_ms) filter (where ${isCounted}) as first_ms, max(time_ms) as last_ms
    from (
      select *, row_number() over (order by time_ms desc, log desc, seq desc) as place
      from (${newest}) newest
    ) placed
    group by ${columns} order by records desc, ${columns}`.execute(db);
  const groups = rows.filter(({ records }) => records > 0).slice(0, groupsMax);
  return {
    groups: groups.map(({ found, first_ms, last_ms, ...group }) => ({
      ...group,
      firstTimeMs: first_ms,
      lastTimeMs: last_ms,
    })),
    isComplete: rows.reduce((sum, { found }) => sum + found, 0) <= rowsMax,
  };
}
