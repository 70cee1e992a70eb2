/**
 * What an audit filter means in SQL: every given column equal to its value or one of its values, time from (inclusive)
 * until (exclusive). Values are always parameters and never patterns, so `%`, `$1` or a quote match themselves
 * (AD-13). Used by `sql-audit.ts` and what searches.
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
  return eb.and([
    ...givenMembers(filter).flatMap(([member, values]) => among(member, values)),
    ...timeConditions(filter),
  ]);
}

/** A part of a filter that an index answers. */
export interface IndexedPart {
  readonly member: Member;
  /** As they stand in the column. */
  readonly values: readonly string[];
  /** The same for one of them: its rows are read off the index in order. */
  readonly holds: (value: string | Expression<string>) => Expression<SqlBool>;
  /** For some of them, of which there is at least one. */
  readonly holdsAny: (some: readonly string[]) => Expression<SqlBool>;
}

/** The parts of a filter that an index answers, each with its time: one of them is enough to find the rows by. */
export function indexedParts(filter: AuditFilter): readonly IndexedPart[] {
  const eb = expressionBuilder<Tables, "audit_records">();
  const times = timeConditions(filter);
  return givenMembers(filter)
    .filter(([member, values]) => values.every((value) => isInIndex(columns[member], value)))
    .map(([member, values]) => ({
      member,
      values,
      holds: (value) =>
        eb.and([eb(columns[member], "=", value), inIndex(columns[member]), ...times]),
      holdsAny: (some) => eb.and([...among(member, some), ...times]),
    }));
}

/** The time alone. */
export function within(filter: AuditFilter): Expression<SqlBool> {
  return expressionBuilder<Tables, "audit_records">().and(timeConditions(filter));
}

/** How many columns the filter asks for. */
export function countMembers(filter: AuditFilter): number {
  return givenMembers(filter).length;
}

function givenMembers(filter: AuditFilter): readonly (readonly [Member, readonly string[]])[] {
  return (Object.keys(columns) as Member[]).flatMap((member) => {
    const wanted = filter[member];
    if (wanted === undefined) return [];
    const values = typeof wanted === "string" ? [wanted] : wanted;
    return [[member, values.map(toSearchValue)] as const];
  });
}

function among(member: Member, values: readonly string[]): readonly Expression<SqlBool>[] {
  const eb = expressionBuilder<Tables, "audit_records">();
  const column = columns[member];
  const [only = ""] = values;
  const same = values.length === 1 ? eb(column, "=", only) : eb(column, "in", values);
  return isUncommon(column, only) ? [same, inIndex(column)] : [same];
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
