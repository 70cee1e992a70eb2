/**
 * Opens the store: PostgreSQL where a database URL is given, the embedded SQLite otherwise; migrates it or checks
 * that its schema fits. Called by `compose/` and by the migrate subcommand.
 */
import { sql } from "kysely";
import type { Log } from "../telemetry/log.ts";
import type { SqlDialect } from "./dialect.ts";
import { checkSchema, migrateSchema, schemaVersion } from "./migrations.ts";
import { createPostgresDialect } from "./postgres.ts";
import { createSqlStore } from "./sql-store.ts";
import { createSqliteDialect } from "./sqlite.ts";
import { type Store, StoreError } from "./store.ts";

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
  /** Longest a migration may take, waiting for another process's included. */
  readonly migrateDeadlineMs?: number;
  /** Refuse a PostgreSQL that says "committed" of what a power cut takes away; otherwise it is warned of (ST-04). */
  readonly mustBeDurable?: boolean;
  /** Connections to PostgreSQL. */
  readonly connectionsMax?: number;
  /** SQLite on the calling thread, for a caller that is a thread of its own. */
  readonly isDirect?: boolean;
}

const retryAfterMs = 250;

/**
 * Rejects with a `StoreError`: "unavailable" where the database cannot be reached in time, "conflict" where its
 * schema does not fit this program, "corrupt" where it is damaged. Once open, the store outlives the database's
 * absence: methods reject with "unavailable" until it is back.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const giveUp = AbortSignal.timeout(options.waitMs ?? 0);
  let said: string | undefined;
  while (true) {
    try {
      return await openOnce(options);
    } catch (error) {
      // Only a server may still be on its way; a folder that cannot be opened stays so.
      const isPassing =
        options.databaseUrl !== undefined &&
        error instanceof StoreError &&
        error.kind === "unavailable";
      if (!isPassing || !options.waitMs || giveUp.aborted) throw error;
      // Once a reason, not once a try.
      if (error.message !== said) options.log.warn("storage.waiting", { reason: error.message });
      said = error.message;
      await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
    }
  }
}

async function openOnce(options: OpenStoreOptions): Promise<Store> {
  const { deadlineMs, migrateDeadlineMs = 60_000 } = options;
  await usingDialect(createDialect(options, deadlineMs), async (dialect) => {
    // Connects under the short deadline first, so a database that is away is found out soon.
    await sql`select 1`.execute(dialect.db);
    if (!options.migrate) await checkSchema(dialect);
  });
  if (options.migrate) {
    await usingDialect(createDialect(options, migrateDeadlineMs), async (dialect) => {
      const found = await migrateSchema(dialect);
      if (found === schemaVersion) return;
      options.log.info("storage.migrated", { from: found, to: schemaVersion });
    });
  }
  return createSqlStore(createDialect(options, deadlineMs));
}

async function usingDialect(
  dialect: SqlDialect,
  work: (dialect: SqlDialect) => Promise<void>,
): Promise<void> {
  try {
    await work(dialect);
  } catch (error) {
    throw dialect.toStoreError(error);
  } finally {
    await dialect.close().catch(() => {});
  }
}

function createDialect(options: OpenStoreOptions, deadlineMs: number): SqlDialect {
  const { databaseUrl, dataDir, log, connectionsMax = 8, isDirect = false } = options;
  const { mustBeDurable = false } = options;
  if (databaseUrl === undefined) return createSqliteDialect({ dataDir, deadlineMs, log, isDirect });
  return createPostgresDialect({
    url: databaseUrl,
    deadlineMs,
    connectionsMax,
    mustBeDurable,
    log,
  });
}
