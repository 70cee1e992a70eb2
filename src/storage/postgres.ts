/**
 * The PostgreSQL dialect: advisory locks, notices, and what the server's errors mean. Connections are in
 * `postgres-pool.ts`, the subscription in `postgres-watch.ts`. Called by `open-store.ts`.
 */
import { createHash } from "node:crypto";
import {
  Kysely,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  sql,
  type Transaction,
} from "kysely";
import type { SqlDialect } from "./dialect.ts";
import { PostgresListCompiler } from "./long-lists.ts";
import { createMakeMonths } from "./postgres-partitions.ts";
import {
  connectSingle,
  createPostgresPool,
  type PostgresOptions,
  toLocation,
} from "./postgres-pool.ts";
import { stateChannel, watchState } from "./postgres-watch.ts";
import type { Tables } from "./schema.ts";
import { StoreError } from "./store.ts";

/** Connects at its first use, and again whenever the server comes back. */
export function createPostgresDialect(options: PostgresOptions): SqlDialect {
  const location = toLocation(options.url);
  const pool = createPostgresPool(options);
  const db = new Kysely<Tables>({
    dialect: {
      createDriver: () => new PostgresDriver({ pool }),
      createAdapter: () => new PostgresAdapter(),
      createQueryCompiler: () => new PostgresListCompiler(),
      createIntrospector: (over) => new PostgresIntrospector(over),
    },
  });
  const held = new Set<string>();
  const stops = new Set<() => void>();
  return {
    description: { kind: "postgres", location },
    db,
    textType: 'text collate "C"',
    counterType: "bigint generated always as identity",
    toStoreError,
    async lockMigrations(transaction) {
      await sql`select pg_advisory_xact_lock(${lockKey("migrations")}::bigint)`.execute(
        transaction,
      );
    },
    makeRoom: createMakeMonths(db, options.log),
    beginAppend,
    // With statistics of one log no row seems to be behind any place, because `(log, seq) > (a, b)` is estimated by its
    // first member; without statistics few seem to be of a log. Then all of them would be read and sorted each time.
    readInOrder: (read) =>
      db.transaction().execute(async (transaction) => {
        await sql`set local enable_sort = off`.execute(transaction);
        return await read(transaction);
      }),
    // What dead rows hold stays in its table's pages until the server's own vacuum.
    scrub: async () => {},
    async announce(transaction, stateRevision) {
      await sql`select pg_notify(${stateChannel}, ${String(stateRevision)})`.execute(transaction);
    },
    watch(changed) {
      const stop = watchState(options, changed);
      stops.add(stop);
      return () => {
        stops.delete(stop);
        stop();
      };
    },
    async tryLock(name) {
      if (held.has(name)) return undefined;
      held.add(name);
      const unlock = await lockSession(options, name).catch((error: unknown) => {
        held.delete(name);
        throw error;
      });
      if (unlock === undefined) held.delete(name);
      return unlock && (() => unlock().finally(() => held.delete(name)));
    },
    async close() {
      for (const stop of stops) stop();
      await pool.end();
    },
  };
}

/**
 * By an advisory lock, which needs no right to change anything. How the commit is made is said in each transaction as
 * well as at each connect, because between the two a pooler may have put another connection (ST-04).
 */
async function beginAppend(
  transaction: Transaction<Tables>,
  logs: readonly number[],
): Promise<void> {
  const keys = logs.map((log) => lockKey(`log:${log}`)).toSorted();
  await sql`select set_config('synchronous_commit', case when current_setting('synchronous_commit') = 'remote_apply'
    then 'remote_apply' else 'on' end, true), ${sql.join(keys.map((key) => sql`pg_advisory_xact_lock(${key}::bigint)`))}`.execute(
    transaction,
  );
}

/** A lock lives as long as its own connection, so the server releases it when this process dies. */
async function lockSession(
  options: PostgresOptions,
  name: string,
): Promise<(() => Promise<void>) | undefined> {
  let released = false;
  const { client, close } = await connectSingle(options, () => {
    if (!released) options.log.warn("storage.lock_lost", { name });
  });
  const unlock = (): Promise<void> => {
    released = true;
    return close();
  };
  try {
    const { rows } = await client.query<{ locked: boolean }>(
      "select pg_try_advisory_lock($1::bigint) as locked",
      [lockKey(name)],
    );
    if (rows[0]?.locked === true) return unlock;
  } catch (error) {
    await unlock();
    throw error;
  }
  await unlock();
  return undefined;
}

/** Advisory locks are numbers: the first 64 bits of the name's hash, prefixed to keep clear of other programs. */
function lockKey(name: string): string {
  return createHash("sha256").update(`mcp-gateway:${name}`).digest().readBigInt64BE().toString();
}

const damagedCodes: ReadonlySet<unknown> = new Set(["XX001", "XX002"]);

/** Whatever is not known damage may pass, so callers keep what they hold and try again. */
function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message || error.name : String(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const kind = damagedCodes.has(code) ? "corrupt" : "unavailable";
  const suffix = code === undefined ? "" : ` (${String(code)})`;
  return new StoreError(kind, `PostgreSQL: ${message}${suffix}`, { cause: error });
}
