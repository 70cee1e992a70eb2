/**
 * What an audit filter means in SQL: every given column equal, time from (inclusive) until (exclusive). Values are
 * always parameters and never patterns, so `%`, `$1` or a quote match themselves (AD-13). Used by `sql-audit.ts`
 * and `audit-search.ts`.
 */
import { type Expression, expressionBuilder, type SqlBool, sql } from "kysely";
import { inIndex, isInIndex, isUncommon } from "./audit-index.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import { toSearchValue } from "./search-value.ts";
import type { AuditFilter } from "./store.ts";

/** Those that mostly find the fewest rows first. */
const columns = {
  correlationId: "correlation_id",
  session: "session",
  principal: "principal",
  client: "client",
  decision: "decision",
  tool: "tool",
  server: "server",
  scope: "scope",
  event: "event",
  status: "status",
  dataClass: "data_class",
  tenant: "tenant",
} as const satisfies Record<
  Exclude<keyof AuditFilter, "fromMs" | "untilMs">,
  keyof AuditRecordsTable
>;

type Member = keyof typeof columns;

/** True for the rows the filter names; an empty filter names all. */
export function matching(filter: AuditFilter): Expression<SqlBool> {
  const eb = expressionBuilder<Tables, "audit_records">();
  const { fromMs, untilMs } = filter;
  return eb.and([
    ...givenMembers(filter).flatMap(([member, wanted]) => equal(member, wanted)),
    ...timeConditions({ fromMs, untilMs }),
  ]);
}

/** The filter's parts that an index answers, each with its time: of them all, one is enough to find the rows by. */
export function indexedParts(filter: AuditFilter): readonly Expression<SqlBool>[] {
  const eb = expressionBuilder<Tables, "audit_records">();
  const { fromMs, untilMs } = filter;
  return givenMembers(filter)
    .filter(([member, wanted]) => isInIndex(columns[member], wanted))
    .map(([member, wanted]) =>
      eb.and([...equal(member, wanted), ...timeConditions({ fromMs, untilMs })]),
    );
}

/** The time alone. */
export function within({ fromMs, untilMs }: AuditFilter): Expression<SqlBool> {
  return expressionBuilder<Tables, "audit_records">().and(timeConditions({ fromMs, untilMs }));
}

/** How many columns the filter asks for. */
export function countMembers(filter: AuditFilter): number {
  return givenMembers(filter).length;
}

function givenMembers(filter: AuditFilter): readonly (readonly [Member, string])[] {
  return (Object.keys(columns) as Member[]).flatMap((member) => {
    const wanted = filter[member];
    return wanted === undefined ? [] : [[member, wanted] as const];
  });
}

function equal(member: Member, wanted: string): readonly Expression<SqlBool>[] {
  const eb = expressionBuilder<Tables, "audit_records">();
  const column = columns[member];
  const same = eb(column, "=", toSearchValue(wanted));
  return isUncommon(column, wanted) ? [same, inIndex(column)] : [same];
}

function timeConditions({ fromMs, untilMs }: AuditFilter): readonly Expression<SqlBool>[] {
  const eb = expressionBuilder<Tables, "audit_records">();
  return [
    ...(fromMs === undefined ? [] : [eb("time_ms", ">=", fromMs)]),
    ...(untilMs === undefined ? [] : [eb("time_ms", "<", untilMs)]),
  ];
}

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
