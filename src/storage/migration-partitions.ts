/**
 * Schema version 4: on PostgreSQL the audit copy lies in one partition a month, and on both databases its indexes put
 * time behind their column, so that "newest first" is read off an index. Rows that are there are moved, all in one
 * transaction: with many of them only by `mcp-gateway migrate`, which has a day for it. Called by `migrations.ts`.
 */
import { type SqlBool, sql, type Transaction } from "kysely";
import { type IndexedColumn, inIndex } from "./audit-index.ts";
import type { ColumnTypes } from "./dialect.ts";
import { monthsOf, otherPartition, partitionOf } from "./postgres-partitions.ts";
import type { Tables } from "./schema.ts";

/** Those of version 4, whatever indexes come later. */
const searched: readonly IndexedColumn[] = [
  "principal",
  "client",
  "tool",
  "server",
  "scope",
  "decision",
  "session",
  "correlation_id",
  "data_class",
  "tenant",
  "event",
  "status",
];

export async function addPartitions(db: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  for (const column of [...searched, "time"]) {
    await db.schema.dropIndex(`audit_records_by_${column}`).ifExists().execute();
  }
  if (types.description.kind === "postgres") await partition(db);
  for (const column of searched) {
    await db.schema
      .createIndex(`audit_records_by_${column}`)
      .on("audit_records")
      .columns([column, "time_ms", "log", "seq"])
      .where(inIndex(column))
      .execute();
  }
  await db.schema
    .createIndex("audit_records_by_time")
    .on("audit_records")
    .columns(["time_ms", "log", "seq"])
    .where(sql<SqlBool>`envelope is not null`)
    .execute();
}

/**
 * The primary key is each partition's own: one of the whole table would have to hold the time, and so would not stand
 * in the way of a second record of one number. That there is none in another month either is for the insert to see to.
 */
async function partition(db: Transaction<Tables>): Promise<void> {
  await sql`alter table audit_records rename to audit_records_whole`.execute(db);
  await sql`create table audit_records (like audit_records_whole including defaults)
    partition by range (time_ms)`.execute(db);
  await sql`create table ${sql.table(otherPartition)} partition of audit_records
    (primary key (log, seq)) default`.execute(db);
  for (const month of await monthsOf(db, "audit_records_whole")) {
    await sql`create table ${sql.table(partitionOf(month))} partition of audit_records
      (primary key (log, seq))
      for values from (${sql.lit(month.fromMs)}) to (${sql.lit(month.untilMs)})`.execute(db);
  }
  await sql`insert into audit_records select * from audit_records_whole`.execute(db);
  await sql`drop table audit_records_whole`.execute(db);
}
