/**
 * The next rows by time that one part of a filter finds, each value of it read off an index in order. A search holds them
 * against the rest of its filter. Used by `audit-search.ts`.
 */
import { type Expression, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import { type IndexedPart, within } from "./audit-filter.ts";
import { readFirsts } from "./audit-firsts.ts";
import { chunksOf } from "./chunks.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import type { AuditPlace, AuditScan } from "./store.ts";

type Rows = SelectQueryBuilder<Tables, "audit_records", AuditRecordsTable>;

/** The row a page goes on behind; undefined for the first page. */
export type From = (AuditPlace & { readonly log: number }) | undefined;

/** Joined to one statement. */
const partsMax = 100;

/** So many at most; by the time alone without a part. Undefined where none of the part's values has a row. */
export async function findCandidates(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  part: IndexedPart | undefined,
  wanted: number,
): Promise<Rows | undefined> {
  const apart =
    part === undefined
      ? [rowsOf(db, query, from, within(query.filter)).limit(wanted)]
      : await findApart(db, query, from, part, wanted);
  return apart.length === 0 ? undefined : join(db, query, apart, wanted);
}

/** The last of so many candidates; undefined where there are fewer. */
export async function readEdge(candidates: Rows, count: number) {
  return await candidates
    .clearSelect()
    .select(["log", "seq", "time_ms"])
    .offset(count - 1)
    .limit(1)
    .executeTakeFirst();
}

/**
 * The rows of a part's values that the next rows can have. A person stands under one token for each index key there has
 * been, and most are too far for this page: once the nearest few fill it, no value is wanted whose first row is behind
 * its last. Those that do not fill it have few rows, and are read as one from then on.
 */
async function findApart(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  part: IndexedPart,
  wanted: number,
): Promise<readonly Rows[]> {
  const { values, holds, holdsAny } = part;
  const each = (some: readonly string[]) =>
    some.map((value) => rowsOf(db, query, from, holds(value)).limit(wanted));
  // Not in order, which a database would go by rather than by the values; a limit keeps it from seeing further.
  const together = (few: readonly string[]) =>
    few.length === 0 ? [] : [nextOf(db, query, from, holdsAny(few)).limit(Number.MAX_SAFE_INTEGER)];
  if (values.length === 1) return each(values);
  const nearest = await readNearest(db, query, from, part);
  const named = nearest.map(({ value }) => value);
  let read = 0;
  for (let few = 1; few < nearest.length; few = Math.min(few * 4, few + partsMax)) {
    const near = [...together(named.slice(0, read)), ...each(named.slice(read, few))];
    const edge = await readEdge(join(db, query, near, wanted), wanted);
    if (edge === undefined) {
      read = few;
      continue;
    }
    const isNear = ({ time_ms }: { readonly time_ms: number }) =>
      query.order === "ascending" ? time_ms <= edge.time_ms : time_ms >= edge.time_ms;
    const count = nearest.filter(isNear).length;
    return [...together(named.slice(0, read)), ...each(named.slice(read, count))];
  }
  return [...together(named.slice(0, read)), ...each(named.slice(read))];
}

/** The values that have rows, the nearest first. */
async function readNearest(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  { values, holds }: IndexedPart,
) {
  const firsts = await readFirsts(db, values, (value) =>
    rowsOf(db, query, from, holds(value)).clearSelect().select("time_ms").limit(1),
  );
  const sign = query.order === "ascending" ? 1 : -1;
  return firsts.toSorted((a, b) => sign * (a.time_ms - b.time_ms));
}

/** The next rows of any of these, in order: of each there are as many as of all, since they may all be its own. */
function join(db: Kysely<Tables>, query: AuditScan, apart: readonly Rows[], limit: number): Rows {
  const [first, ...others] = apart;
  if (first === undefined) throw new Error("no value to find rows by");
  if (others.length === 0) return inOrder(whole(db, first), query).limit(limit);
  return inOrder(whole(db, unite(db, apart)), query).limit(limit);
}

/** The next rows of one value, in order. */
function rowsOf(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  value: Expression<SqlBool>,
): Rows {
  return inOrder(nextOf(db, query, from, value), query);
}

function nextOf(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  value: Expression<SqlBool>,
): Rows {
  return db
    .selectFrom("audit_records")
    .selectAll()
    .where("envelope", "is not", null)
    .where(value)
    .$if(from !== undefined, (rows) => rows.where(behind(query, from)));
}

function whole(db: Kysely<Tables>, rows: Rows): Rows {
  return db.selectFrom(rows.as("audit_records")).selectAll();
}

/** SQLite joins 500 parts to one statement at most: of more, such as tokens of many index keys, unions are united. */
function unite(db: Kysely<Tables>, parts: readonly Rows[]): Rows {
  const few =
    parts.length <= partsMax
      ? parts
      : [...chunksOf(parts, partsMax)].map((chunk) => unite(db, chunk));
  return few.map((part) => whole(db, part)).reduce((some, rows) => some.unionAll(rows));
}

export function inOrder<R extends Rows>(rows: R, { order }: AuditScan): R {
  const direction = order === "ascending" ? "asc" : "desc";
  return rows
    .orderBy("time_ms", direction)
    .orderBy("log", direction)
    .orderBy("seq", direction) as R;
}

function behind(query: AuditScan, from: From): Expression<SqlBool> {
  const comparison = query.order === "ascending" ? sql`>` : sql`<`;
  return sql<SqlBool>`(time_ms, log, seq) ${comparison} (${from?.timeMs ?? 0}, ${from?.log}, ${from?.seq})`;
}
