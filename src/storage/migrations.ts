/**
 * The schema's history: forward only, all pending steps in one transaction, behind a lock that other processes
 * respect. A database newer than this program is refused, because an older program would misread it (CF-07).
 */
import { type Kysely, type SqlBool, sql, type Transaction } from "kysely";
import { type IndexedColumn, inIndex } from "./audit-index.ts";
import type { ColumnTypes, SqlDialect } from "./dialect.ts";
import { addCheckpoints } from "./migration-checkpoints.ts";
import { addGrants } from "./migration-grants.ts";
import { addLastUses } from "./migration-last-uses.ts";
import { addPartitions } from "./migration-partitions.ts";
import { addTenants } from "./migration-tenants.ts";
import type { Tables } from "./schema.ts";
import { StoreError } from "./store.ts";

interface Migration {
  readonly version: number;
  readonly name: string;
  /** Whether its time grows with the records that are there. */
  readonly goesOverRecords?: boolean;
  up(db: Transaction<Tables>, types: ColumnTypes): Promise<void>;
}

const migrations: readonly Migration[] = [
  { version: 1, name: "first tables", up: createTables },
  { version: 2, name: "tenants", goesOverRecords: true, up: addTenants },
  { version: 3, name: "times of last use", up: addLastUses },
  { version: 4, name: "audit partitions", goesOverRecords: true, up: addPartitions },
  { version: 5, name: "witnessed checkpoints", up: addCheckpoints },
  { version: 6, name: "users' grants", up: addGrants },
];
export const schemaVersion = migrations.length;

export interface MigrationLimits {
  /** Longest it may take, waiting for another process's included. */
  readonly deadlineMs: number;
  /** With more records to go over it is not begun. */
  readonly recordsMax: number;
}

/** Of a start, which others wait for: what a slow disk does well within the minute. */
export const startLimits: MigrationLimits = { deadlineMs: 60_000, recordsMax: 200_000 };

/**
 * Brings the schema up to `schemaVersion` and returns the version it found. Rejects with kind "conflict", having
 * changed nothing, where a pending step would go over more than `recordsMax` audit records.
 */
export async function migrateSchema(dialect: SqlDialect, recordsMax: number): Promise<number> {
  return await dialect.db.transaction().execute(async (db) => {
    await dialect.lockMigrations(db);
    await db.schema
      .createTable("schema_migrations")
      .ifNotExists()
      .addColumn("version", "bigint", (column) => column.primaryKey())
      .addColumn("name", sql.raw(dialect.textType), (column) => column.notNull())
      .execute();
    const found = await readSchemaVersion(db);
    refuseNewer(found);
    const pending = migrations.slice(found);
    if (found > 0 && pending.some((one) => one.goesOverRecords)) {
      await refuseLarge(db, found, recordsMax);
    }
    for (const { version, name, up } of pending) {
      await up(db, dialect);
      await db.insertInto("schema_migrations").values({ version, name }).execute();
    }
    return found;
  });
}

/** The database's schema version; 0 for one that has none yet. */
export async function findSchemaVersion(dialect: SqlDialect): Promise<number> {
  const tables = await dialect.db.introspection.getTables();
  const isMigrated = tables.some((table) => table.name === "schema_migrations");
  return isMigrated ? await readSchemaVersion(dialect.db) : 0;
}

/** Refuses a database whose schema this program cannot use as it is; otherwise returns its version, which is this one's. */
export async function checkSchema(dialect: SqlDialect): Promise<number> {
  const found = await findSchemaVersion(dialect);
  refuseNewer(found);
  if (found === schemaVersion) return found;
  throw new StoreError(
    "conflict",
    `the database has schema version ${found} and this program needs ${schemaVersion}: run "mcp-gateway migrate" first`,
  );
}

async function readSchemaVersion(db: Kysely<Tables>): Promise<number> {
  const newest = await db
    .selectFrom("schema_migrations")
    .select("version")
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  return newest?.version ?? 0;
}

function refuseNewer(found: number): void {
  if (found <= schemaVersion) return;
  throw new StoreError(
    "conflict",
    `the database has schema version ${found}, newer than the ${schemaVersion} this program knows: ` +
      "it was written by a later release; run that release or a later one (schemas are never downgraded)",
  );
}

/** Counts no further than it must: of many millions it reads as much as of the few it allows. */
async function refuseLarge(
  db: Transaction<Tables>,
  found: number,
  recordsMax: number,
): Promise<void> {
  if (!Number.isFinite(recordsMax)) return;
  const { rows } = await sql<{ readonly records: number }>`select count(*) as records
    from (select 1 from audit_records limit ${sql.lit(recordsMax + 1)}) found`.execute(db);
  if ((rows[0]?.records ?? 0) <= recordsMax) return;
  throw new StoreError(
    "conflict",
    `the database has schema version ${found} and more than ${recordsMax} audit records, which a start does not move: ` +
      'stop the gateways that use it, run "mcp-gateway migrate", which takes its time, and start again',
  );
}

async function createTables(db: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  const text = sql.raw(types.textType);
  await db.schema
    .createTable("state")
    .addColumn("id", "bigint", (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn("revision", "bigint", (column) => column.notNull())
    .execute();
  await db.insertInto("state").values({ id: 1, revision: 0 }).execute();
  await db.schema
    .createTable("resources")
    .addColumn("kind", text, (column) => column.notNull())
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("updated_at_ms", "bigint", (column) => column.notNull())
    .addColumn("state_revision", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("resources_key", ["kind", "name"])
    .execute();
  await db.schema
    .createTable("audit_logs")
    .addColumn("log", sql.raw(types.counterType), (column) => column.primaryKey())
    .addColumn("log_id", text, (column) => column.notNull().unique())
    .execute();
  await createAuditTable(db, text);
  await createAuditIndexes(db);
}

async function createAuditTable(
  db: Transaction<Tables>,
  text: ReturnType<typeof sql.raw>,
): Promise<void> {
  await db.schema
    .createTable("audit_records")
    .addColumn("log", "bigint", (column) => column.notNull())
    .addColumn("seq", "bigint", (column) => column.notNull())
    .addColumn("leaf", text, (column) => column.notNull())
    .addColumn("envelope", "text")
    .addColumn("details", "text")
    .addColumn("time_ms", "bigint", (column) => column.notNull())
    .addColumn("event", text, (column) => column.notNull())
    .addColumn("durability", text, (column) => column.notNull())
    .addColumn("principal", text)
    .addColumn("client", text)
    .addColumn("tool", text)
    .addColumn("server", text)
    .addColumn("scope", text)
    .addColumn("method", text)
    .addColumn("status", text)
    .addColumn("decision", text)
    .addColumn("session", text)
    .addColumn("correlation_id", text)
    .addColumn("data_class", text)
    .addPrimaryKeyConstraint("audit_records_key", ["log", "seq"])
    .execute();
}

/** Those of version 1, whatever indexes came later. */
const firstIndexes: readonly IndexedColumn[] = [
  "principal",
  "client",
  "tool",
  "server",
  "session",
  "correlation_id",
  "data_class",
  "event",
  "status",
];

/** A filter's column first, then the order of a scan, so one index answers filter, order and position. */
async function createAuditIndexes(db: Transaction<Tables>): Promise<void> {
  for (const column of firstIndexes) {
    await db.schema
      .createIndex(`audit_records_by_${column}`)
      .on("audit_records")
      .columns([column, "log", "seq"])
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
