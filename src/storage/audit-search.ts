/**
 * Pages of the audit copy. By place (log and number) it is the chain, for those who verify or export. By time it is
 * what people ask for: one index finds the rows, chosen by looking and not by statistics, and so many of them at most
 * are held against the rest of the filter that every page comes soon, however many rows there are and whatever is
 * asked. Part of `sql-audit.ts`.
 */
import { type Expression, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import { countMembers, type IndexedPart, indexedParts, matching, within } from "./audit-filter.ts";
import { narrow, readFirsts } from "./audit-firsts.ts";
import { readLogIds, readNumbers } from "./audit-logs.ts";
import { fromAuditTable } from "./audit-row.ts";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import type { SqlStoreLimits } from "./sql-part.ts";
import type { AuditPage, AuditPlace, AuditRow, AuditScan } from "./store.ts";

type Rows = SelectQueryBuilder<Tables, "audit_records", AuditRecordsTable>;

/** Joined to one statement. */
const partsMax = 100;

const noPage: AuditPage = { rows: [], next: undefined };

export async function scan(
  dialect: Pick<SqlDialect, "db" | "readInOrder">,
  query: AuditScan,
  limits: SqlStoreLimits,
): Promise<AuditPage> {
  const { db } = dialect;
  const limit = Math.max(1, Math.min(query.limit, limits.scanRowsMax));
  const { after } = query;
  const log = after && (await readNumbers(db, [after.logId])).get(after.logId);
  if (after !== undefined && log === undefined) return noPage;
  const from = after === undefined || log === undefined ? undefined : { ...after, log };
  if (query.by !== "time") {
    return await dialect.readInOrder((reading) => scanByPlace(reading, query, from, limit));
  }
  const driver = await chooseDriver(db, query.filter);
  if (driver === "nothing") return noPage;
  // One snapshot: where rows went between two statements, a page that had counted on them would end too early.
  return await db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute((reading) => scanByTime(reading, query, from, driver, limit, limits));
}

type From = (AuditPlace & { readonly log: number }) | undefined;

async function scanByPlace(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  limit: number,
): Promise<AuditPage> {
  const ascending = query.order === "ascending";
  let select = db.selectFrom("audit_records").selectAll().where(matching(query.filter));
  if (query.includePruned !== true) select = select.where("envelope", "is not", null);
  if (from !== undefined) {
    select = select.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("log", "seq"), ascending ? ">" : "<", tuple(from.log, from.seq)),
    );
  }
  // One row more than asked for tells whether there is a next page.
  const found = await select
    .orderBy("log", ascending ? "asc" : "desc")
    .orderBy("seq", ascending ? "asc" : "desc")
    .limit(limit + 1)
    .execute();
  return await toPage(db, found, beforeTwins(found, limit), limit);
}

/** A number that is there twice, in two months, is forged: both are shown, on one page, for who verifies to see. */
function beforeTwins(found: readonly AuditRecordsTable[], limit: number): number {
  const isTwin = (at: number) => {
    const [one, next] = [found[at - 1], found[at]];
    return one !== undefined && one.log === next?.log && one.seq === next.seq;
  };
  let end = limit;
  while (end > 0 && isTwin(end)) end -= 1;
  return end === 0 ? found.length : end;
}

async function scanByTime(
  db: Kysely<Tables>,
  query: AuditScan,
  from: From,
  { part, isWhole }: Driver,
  limit: number,
  { examinedRowsMax }: SqlStoreLimits,
): Promise<AuditPage> {
  const { filter } = query;
  const examined = Math.max(examinedRowsMax, limit + 1);
  const wanted = isWhole ? limit + 1 : examined;
  const apart =
    part === undefined
      ? [rowsOf(db, query, from, within(filter)).limit(wanted)]
      : await findApart(db, query, from, part, wanted);
  if (apart.length === 0) return noPage;
  const candidates = joinCandidates(db, query, apart, wanted);
  const rows = isWhole
    ? candidates
    : inOrder(
        db.selectFrom(candidates.as("audit_records")).selectAll().where(matching(filter)),
        query,
      ).limit(limit + 1);
  const found = await rows.execute();
  if (isWhole || found.length > limit) return await toPage(db, found, limit, limit);
  const edge = await readEdge(candidates, examined);
  const page = await toPage(db, found, limit, limit);
  if (edge === undefined) return page;
  const logId = (await readLogIds(db, [edge])).get(edge.log) ?? "";
  return { rows: page.rows, next: { logId, seq: edge.seq, timeMs: edge.time_ms } };
}

/** The next rows of any of these, in order: of each there are as many as of all, since they may all be its own. */
function joinCandidates(
  db: Kysely<Tables>,
  query: AuditScan,
  apart: readonly Rows[],
  limit: number,
): Rows {
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

/** The last of so many candidates; undefined where there are fewer. */
async function readEdge(candidates: Rows, count: number) {
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
    const edge = await readEdge(joinCandidates(db, query, near, wanted), wanted);
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

interface Driver {
  /** Undefined: the time alone. */
  readonly part: IndexedPart | undefined;
  /** Whether the filter asks for nothing else. */
  readonly isWhole: boolean;
}

/** Rows of a part that are counted: with more it is common, and of common ones the first is as good as any. */
const countedMax = 1_000;

/** What to find the rows by: the part of the filter that the fewest rows have, or the time alone. */
async function chooseDriver(
  db: Kysely<Tables>,
  filter: AuditScan["filter"],
): Promise<Driver | "nothing"> {
  const asked = indexedParts(filter);
  const isWhole = asked.length === countMembers(filter) && asked.length <= 1;
  const [first] = asked;
  if (asked.length <= 1) return { part: first, isWhole };
  const narrowed = await narrow(db, filter);
  if (narrowed === undefined) return "nothing";
  const parts = indexedParts(narrowed);
  const counts = await Promise.all(
    parts.map(({ holdsAny, values }) => countSome(db, holdsAny(values))),
  );
  const fewest = Math.min(...counts);
  if (fewest === 0) return "nothing";
  return { part: parts[counts.indexOf(fewest)], isWhole };
}

async function countSome(db: Kysely<Tables>, condition: Expression<SqlBool>): Promise<number> {
  const some = db
    .selectFrom("audit_records")
    .select(sql<number>`1`.as("one"))
    .where(condition)
    .limit(countedMax);
  const { rows } = await db
    .selectFrom(some.as("some"))
    .select((eb) => eb.fn.countAll<number>().as("rows"))
    .executeTakeFirstOrThrow();
  return rows;
}

function inOrder<R extends Rows>(rows: R, { order }: AuditScan): R {
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

async function toPage(
  db: Kysely<Tables>,
  found: readonly AuditRecordsTable[],
  end: number,
  limit: number,
): Promise<AuditPage> {
  const logIds = await readLogIds(db, found);
  const rows: readonly AuditRow[] = found
    .slice(0, end)
    .map((row) => fromAuditTable(row, logIds.get(row.log) ?? ""));
  const last = found.length > limit ? rows.at(-1) : undefined;
  return { rows, next: last && { logId: last.logId, seq: last.seq, timeMs: last.timeMs } };
}
