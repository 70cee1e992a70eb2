/**
 * What an audit filter means in SQL: every given column equal to its value or one of its values, time from (inclusive) until (exclusive). Values are
 * always parameters and never patterns, so `%`, `$1` or a quote match themselves (AD-13). Used by `sql-audit.ts`.
 */
import { type Expression, expressionBuilder, type SqlBool, sql } from "kysely";
import { inIndex, isUncommon } from "./audit-index.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import { toSearchValue } from "./search-value.ts";
import type { AuditFilter } from "./store.ts";

const columns = {
  principal: "principal",
  client: "client",
  tool: "tool",
  server: "server",
  scope: "scope",
  event: "event",
  status: "status",
  decision: "decision",
  session: "session",
  correlationId: "correlation_id",
  dataClass: "data_class",
  tenant: "tenant",
} as const satisfies Record<
  Exclude<keyof AuditFilter, "fromMs" | "untilMs">,
  keyof AuditRecordsTable
>;

/** True for the rows the filter names; an empty filter names all. */
export function matching(filter: AuditFilter): Expression<SqlBool> {
  const eb = expressionBuilder<Tables, "audit_records">();
  const conditions: Expression<SqlBool>[] = [];
  for (const [member, column] of Object.entries(columns) as [keyof typeof columns, Column][]) {
    const wanted = filter[member];
    if (wanted === undefined) continue;
    const values = typeof wanted === "string" ? [wanted] : wanted;
    const [only = ""] = values;
    if (values.length === 1) conditions.push(eb(column, "=", toSearchValue(only)));
    else conditions.push(eb(column, "in", values.map(toSearchValue)));
    if (isUncommon(column, only)) conditions.push(inIndex(column));
  }
  if (filter.fromMs !== undefined) conditions.push(eb("time_ms", ">=", filter.fromMs));
  if (filter.untilMs !== undefined) conditions.push(eb("time_ms", "<", filter.untilMs));
  return eb.and(conditions);
}

type Column = (typeof columns)[keyof typeof columns];

/** True for rows not pruned yet that match `filter` and none of `exclude`. */
export function livePrunable(query: {
  readonly filter: AuditFilter;
  readonly exclude: readonly AuditFilter[];
}): Expression<SqlBool> {
  const eb = expressionBuilder<Tables, "audit_records">();
  return eb.and([
    eb("envelope", "is not", null),
    matching(query.filter),
    // Not `not (...)`: that is unknown, and so drops the row, where the column is null.
    ...query.exclude.map((spared) => sql<SqlBool>`(${matching(spared)}) is not true`),
  ]);
}
