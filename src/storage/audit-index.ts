/**
 * Which columns of the audit copy have an index, and which of their values are left out of it because a good part of
 * all records has them: an index entry is written for each record and costs as much as its column is worth only where
 * it finds few rows. Other columns filter within a time or with another column. Used by migrations and filters, which
 * must agree.
 */
import { type Expression, type SqlBool, sql } from "kysely";

export const auditIndexes = {
  principal: [],
  client: [],
  tool: [],
  server: [],
  scope: [],
  decision: [],
  session: [],
  correlation_id: [],
  data_class: [],
  tenant: [],
  event: ["call.intent", "call.outcome"],
  status: ["success"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type IndexedColumn = keyof typeof auditIndexes;

export const indexedColumns = Object.keys(auditIndexes) as readonly IndexedColumn[];

/**
 * The condition on which a row is in the column's index. A filter must repeat it word for word, or the database does
 * not know that it may use the index.
 */
export function inIndex(column: IndexedColumn): Expression<SqlBool> {
  const common = auditIndexes[column].map((value) => sql.lit(value));
  if (common.length === 0) return sql<SqlBool>`${sql.ref(column)} is not null`;
  return sql<SqlBool>`${sql.ref(column)} not in (${sql.join(common)})`;
}

/** Whether this value's rows are all in the column's index. */
export function isInIndex(column: string, value: string): column is IndexedColumn {
  if (!isIndexed(column)) return false;
  const common: readonly string[] = auditIndexes[column];
  return !common.includes(value);
}

/** Whether the column has an index that holds some values only, this one among them. */
export function isUncommon(column: string, value: string): column is IndexedColumn {
  return isInIndex(column, value) && auditIndexes[column].length > 0;
}

function isIndexed(column: string): column is IndexedColumn {
  return Object.hasOwn(auditIndexes, column);
}
