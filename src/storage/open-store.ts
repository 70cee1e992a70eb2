/**
 * Opens the store: PostgreSQL where a database URL is given, the embedded SQLite otherwise; migrates it or checks
 * that its schema fits. Called by `compose/` and by the migrate subcommand.
 */
import { sql } from "kysely";
import type { Log } from "../telemetry/log.ts";
import type { SqlDialect } from "./dialect.ts";
import {
  checkSchema,
  findSchemaVersion,
  type MigrationLimits,
  migrateSchema,
  schemaVersion,
  startLimits,
} from "./migrations.ts";
import { createSqlStore } from "./sql-store.ts";
import { createSqliteDialect } from "./sqlite.ts";
import type { Store } from "./store.ts";
import { openWaiting } from "./waiting.ts";

export interface OpenStoreOptions {
  /** `postgres://…`; undefined = SQLite in `dataDir`. */
  readonly databaseUrl?: string | undefined;
  readonly dataDir: string;
  readonly log: Log;
  /** Longest any one operation may take. */
  readonly deadlineMs: number;
  /** Bring the schema up to date; otherwise a database that is behind is refused. */
  readonly migrate: boolean;
  /** How long to keep trying where the database cannot be reached. 0 = one attempt. */
  readonly waitMs?: number;
  /** What a migration may take upon itself; by default what a start may. */
  readonly migration?: MigrationLimits;
  /** Refuse a PostgreSQL that says "committed" of what a power cut takes away; otherwise it is warned of (ST-04). */
  readonly mustBeDurable?: boolean;
  /** Connections to PostgreSQL. */
  readonly connectionsMax?: number;
  /** SQLite on the calling thread, for a caller that is a thread of its own. */
  readonly isDirect?: boolean;
}

/**
 * Rejects with a `StoreError`: "unavailable" where the database cannot be reached in time, "conflict" where it refuses
 * this gateway for good or its schema does not fit this program, "corrupt" where it is damaged. Once open, the store
 * outlives the database's absence: methods reject with "unavailable" until it is back.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { databaseUrl, waitMs = 0, log } = options;
  return await openWaiting(() => openOnce(options), {
    isServer: databaseUrl !== undefined,
    waitMs,
    log,
  });
}

async function openOnce(options: OpenStoreOptions): Promise<Store> {
  const { deadlineMs } = options;
  // SQLite without its thread: to start one for a question or two takes longer than they do.
  const probe = await createDialect({ ...options, isDirect: true }, deadlineMs);
  const version = await usingDialect(probe, async (dialect) => {
    // Connects under the short deadline first, so a database that is away is found out soon.
    await sql`select 1`.execute(dialect.db);
    return options.migrate ? await findSchemaVersion(dialect) : await checkSchema(dialect);
  });
  const serving = await createDialect(options, deadlineMs);
  try {
    // A new file is soon ready, and needs no thread but the one that goes on with it.
    if (version === 0 && options.databaseUrl === undefined) await migrate(serving, options);
    else if (version !== schemaVersion) {
      const { deadlineMs: patience } = options.migration ?? startLimits;
      const migrating = await createDialect(options, patience);
      await usingDialect(migrating, (dialect) => migrate(dialect, options));
    }
    return createSqlStore(serving);
  } catch (error) {
    await serving.close().catch(() => {});
    throw serving.toStoreError(error);
  }
}

async function migrate(dialect: SqlDialect, options: OpenStoreOptions): Promise<void> {
  const { log, migration = startLimits } = options;
  const found = await migrateSchema(dialect, migration.recordsMax);
  if (found !== schemaVersion) log.info("storage.migrated", { from: found, to: schemaVersion });
}

async function usingDialect<T>(
  dialect: SqlDialect,
  work: (dialect: SqlDialect) => Promise<T>,
): Promise<T> {
  try {
    return await work(dialect);
  } catch (error) {
    throw dialect.toStoreError(error);
  } finally {
    await dialect.close().catch(() => {});
  }
}

async function createDialect(options: OpenStoreOptions, deadlineMs: number): Promise<SqlDialect> {
  const { databaseUrl, dataDir, log, connectionsMax = 8, isDirect = false } = options;
  const { mustBeDurable = false } = options;
  if (databaseUrl === undefined) return createSqliteDialect({ dataDir, deadlineMs, log, isDirect });
  // Loaded where it is used: each thread with a store of its own would hold the driver for nothing.
  const { createPostgresDialect } = await import("./postgres.ts");
  return createPostgresDialect({
    url: databaseUrl,
    deadlineMs,
    connectionsMax,
    mustBeDurable,
    log,
  });
}
