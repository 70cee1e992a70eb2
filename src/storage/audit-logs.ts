/**
 * The numbers that stand for logs in every record and index, the way back, and records by such a number. Used by the audit
 * copy's SQL files.
 */
import {
  type Expression,
  expressionBuilder,
  type Kysely,
  type SqlBool,
  type Transaction,
} from "kysely";
import type { Tables } from "./schema.ts";

export type LogNumbers = ReadonlyMap<string, number>;

/** The numbers of the rows' logs; new logs get theirs. Asked anew each time, so no answer outlives its transaction. */
export async function numberLogs(
  db: Transaction<Tables>,
  rows: readonly { readonly logId: string }[],
): Promise<LogNumbers> {
  const logIds = [...new Set(rows.map((row) => row.logId))].sort();
  const known = await readNumbers(db, logIds);
  const added = logIds.filter((logId) => !known.has(logId));
  if (added.length === 0) return known;
  await db
    .insertInto("audit_logs")
    .values(added.map((log_id) => ({ log_id })))
    .onConflict((conflict) => conflict.column("log_id").doNothing())
    .execute();
  return await readNumbers(db, logIds);
}

export async function readNumbers(
  db: Kysely<Tables>,
  logIds: readonly string[],
): Promise<LogNumbers> {
  if (logIds.length === 0) return new Map();
  const found = await db
    .selectFrom("audit_logs")
    .selectAll()
    .where("log_id", "in", logIds)
    .execute();
  return new Map(found.map(({ log_id, log }) => [log_id, log]));
}

/** 0 where there is no such log: no record has that number. */
export function numberOf(logs: LogNumbers, { logId }: { readonly logId: string }): number {
  return logs.get(logId) ?? 0;
}

export async function readLogIds(
  db: Kysely<Tables>,
  rows: readonly { readonly log: number }[],
): Promise<ReadonlyMap<number, string>> {
  const wanted = [...new Set(rows.map((row) => row.log))];
  if (wanted.length === 0) return new Map();
  const found = await db.selectFrom("audit_logs").selectAll().where("log", "in", wanted).execute();
  return new Map(found.map(({ log, log_id }) => [log, log_id]));
}

export function byLog<T extends { readonly logId: string }>(
  places: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(places, (place) => place.logId);
}

/**
 * True for these records of a log, of which there is at least one. A list alone leaves a planner without statistics to go
 * through the whole log; between its ends it does not.
 */
export function isAmong(log: number, seqs: readonly number[]): Expression<SqlBool> {
  const eb = expressionBuilder<Tables, "audit_records">();
  const wanted = [...new Set(seqs)];
  const first = wanted.reduce((a, b) => Math.min(a, b));
  const last = wanted.reduce((a, b) => Math.max(a, b));
  const isWhole = last - first === wanted.length - 1;
  return eb.and([
    eb("log", "=", log),
    eb("seq", ">=", first),
    eb("seq", "<=", last),
    ...(isWhole ? [] : [eb("seq", "in", wanted)]),
  ]);
}
