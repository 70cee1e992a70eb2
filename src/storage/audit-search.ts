/**
 * Pages of the audit copy. By place (log and number) it is the chain, for those who verify or export. By time it is
 * what people ask for: one index finds the rows (`audit-driver.ts`, `audit-candidates.ts`), and so many of them at most
 * are held against the rest of the filter that every page comes soon, however many rows there are and whatever is
 * asked. Part of `sql-audit.ts`.
 */
import type { Kysely } from "kysely";
import { type From, findCandidates, inOrder, readEdge } from "./audit-candidates.ts";
import { chooseDriver, type Driver } from "./audit-driver.ts";
import { matching } from "./audit-filter.ts";
import { readLogIds, readNumbers } from "./audit-logs.ts";
import { fromAuditTable } from "./audit-row.ts";
import type { SqlDialect } from "./dialect.ts";
import type { AuditRecordsTable, Tables } from "./schema.ts";
import type { SqlStoreLimits } from "./sql-part.ts";
import type { AuditPage, AuditRow, AuditScan } from "./store.ts";

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
  const candidates = await findCandidates(db, query, from, part, wanted);
  if (candidates === undefined) return noPage;
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
