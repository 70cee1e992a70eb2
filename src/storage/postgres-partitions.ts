/**
 * The months of the audit copy on PostgreSQL: one partition each, made two months ahead by whoever appends, and one for
 * odd times. Used by `postgres.ts` and by the migration.
 */
import { type Kysely, sql, type Transaction } from "kysely";
import { systemClock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type Month, monthAfter, monthOf, monthsOfTimes } from "./month.ts";
import type { Tables } from "./schema.ts";

/** Holds what is of no month that has a partition: clocks that are far off. */
export const otherPartition = "audit_records_other";
/** Before it no record was ever made; a time before it is a clock's mistake. */
const firstMonth = monthOf(Date.UTC(2025, 0));
const monthsAhead = 2;
/** With more in one batch the later ones wait for the next look. */
const monthsABatchMax = 24;
/** A month that could not be made is tried again after this; its records lie with the odd ones meanwhile. */
const retryAfterMs = 60_000;
/** Records that are moved out of the other partition to make their month; with more of them it is left to operators. */
const movedMax = 20_000;
/** Longest that making a month makes readers wait. */
const lockTimeoutMs = 1_000;

export function partitionOf(month: Month): string {
  return `audit_records_${month.name}`;
}

/** The months that the table's rows ask for, and those ahead of the present. */
export async function monthsOf(db: Kysely<Tables>, table: string): Promise<readonly Month[]> {
  const { rows } = await sql<{ readonly month_ms: number }>`
    select distinct (extract(epoch from date_trunc('month', to_timestamp(time_ms / 1000.0) at time zone 'UTC')) * 1000)::bigint
      as month_ms from ${sql.table(table)}`.execute(db);
  const nowMs = await readNowMs(db);
  const months = [...rows.map(({ month_ms }) => monthOf(month_ms)), ...withNext(monthOf(nowMs))];
  const byName = new Map(months.map((month) => [month.name, month]));
  return [...byName.values()].filter((month) => isSane(month, nowMs));
}

/** By the database's clock: a node whose own is years off gets no partitions for it. */
async function readNowMs(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ readonly now_ms: number }>`
    select (extract(epoch from now()) * 1000)::bigint as now_ms`.execute(db);
  return rows[0]?.now_ms ?? 0;
}

function isSane(month: Month, nowMs: number): boolean {
  const last = monthAfter(monthOf(nowMs), monthsAhead + 1);
  return month.fromMs >= firstMonth.fromMs && month.fromMs <= last.fromMs;
}

function withNext(month: Month): readonly Month[] {
  return Array.from({ length: monthsAhead + 1 }, (_, ahead) => monthAfter(month, ahead));
}

export type MakeMonths = (timesMs: readonly number[]) => Promise<void>;

/**
 * Sees to it that the months of these times and the next ones have partitions. Never rejects: without its partition a
 * record lies with the odd ones, where it is found all the same.
 */
export function createMakeMonths(db: Kysely<Tables>, log: Log): MakeMonths {
  /** Name to when it is looked at again. */
  const seen = new Map<string, number>();
  return async (timesMs) => {
    const nowMs = systemClock.monotonicMs();
    const months = monthsOfTimes(timesMs, monthsABatchMax).flatMap(withNext);
    const wanted = months.filter(({ name }) => (seen.get(name) ?? 0) <= nowMs);
    if (wanted.length === 0) return;
    // Months pass, and a batch spans few: what was seen long ago may be forgotten.
    if (seen.size > 1_000) seen.clear();
    for (const { name } of wanted) seen.set(name, nowMs + retryAfterMs);
    try {
      const made = await db
        .transaction()
        .execute((transaction) => makeMissing(transaction, wanted));
      for (const name of made) seen.set(name, Number.POSITIVE_INFINITY);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const names = wanted.map(({ name }) => name).join(" ");
      log.warn("storage.partition_missing", { months: names, reason, records: otherPartition });
    }
  };
}

/** Returns the names of those that are there now. */
async function makeMissing(
  db: Transaction<Tables>,
  wanted: readonly Month[],
): Promise<readonly string[]> {
  await sql`select pg_advisory_xact_lock(hashtext('mcp-gateway:partitions'))`.execute(db);
  await sql`set local lock_timeout = ${sql.lit(lockTimeoutMs)}`.execute(db);
  const { rows } = await sql<{ readonly name: string }>`
    select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'audit_records'::regclass`.execute(db);
  const there = new Set(rows.map(({ name }) => name));
  const nowMs = await readNowMs(db);
  const made: string[] = [];
  for (const month of wanted) {
    if (!there.has(partitionOf(month))) {
      if (!isSane(month, nowMs)) continue;
      await makeMonth(db, month);
      there.add(partitionOf(month));
    }
    made.push(month.name);
  }
  return made;
}

/** Attached when it is complete, because creating it in place would lock out everybody who reads the table. */
async function makeMonth(db: Transaction<Tables>, month: Month): Promise<void> {
  const name = sql.table(partitionOf(month));
  const other = sql.table(otherPartition);
  const within = sql`time_ms >= ${sql.lit(month.fromMs)} and time_ms < ${sql.lit(month.untilMs)}`;
  const { rows } = await sql<{ readonly strays: number }>`
    select count(*) as strays from (select from ${other} where ${within} limit ${sql.lit(movedMax + 1)}) found`.execute(
    db,
  );
  const strays = rows[0]?.strays ?? 0;
  if (strays > movedMax) {
    throw new Error(`more than ${movedMax} records of ${month.name} lie in ${otherPartition}`);
  }
  await sql`create table ${name} (like audit_records including all, primary key (log, seq))`.execute(
    db,
  );
  if (strays > 0) {
    await sql`with moved as (delete from ${other} where ${within} returning *)
      insert into ${name} select * from moved`.execute(db);
  }
  await sql`alter table audit_records attach partition ${name}
    for values from (${sql.lit(month.fromMs)}) to (${sql.lit(month.untilMs)})`.execute(db);
}
