/**
 * A bounded pool of PostgreSQL connections whose every use ends by our own deadline. A frozen server answers
 * nothing, so a use that runs out of time has its socket destroyed and not merely its query cancelled (ST-02).
 * Used by `postgres.ts` and, for single connections, `postgres-watch.ts`.
 */
import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from "kysely";
import { Client, type ClientConfig, Pool, type PoolClient, type QueryResult, types } from "pg";
import type { Log } from "../telemetry/log.ts";
import { createDeadline } from "./deadline.ts";
import { StoreError } from "./store.ts";
import { UndurableError } from "./undurable.ts";

export interface PostgresOptions {
  readonly url: string;
  /** Longest use of a connection, waiting for one included. */
  readonly deadlineMs: number;
  readonly connectionsMax: number;
  /** Refuses connections to a server that may lose what it committed. */
  readonly mustBeDurable?: boolean;
  readonly log: Log;
}

const int8Oid = 20;

export function toClientConfig({ url, deadlineMs }: PostgresOptions): ClientConfig {
  return {
    connectionString: url,
    application_name: "mcp-gateway",
    connectionTimeoutMillis: deadlineMs,
    query_timeout: deadlineMs,
    statement_timeout: deadlineMs,
    idle_in_transaction_session_timeout: deadlineMs * 2,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: {
      // Sequence numbers, revisions and milliseconds all stay far below 2^53.
      getTypeParser: (oid: number, format?: "text" | "binary") =>
        oid === int8Oid ? Number : types.getTypeParser(oid, format),
    },
  };
}

export function createPostgresPool(options: PostgresOptions): PostgresPool {
  const { deadlineMs, connectionsMax, log } = options;
  const database = toLocation(options.url);
  const open = new Set<PoolClient>();
  let isReported = false;
  const pool = new Pool({
    ...toClientConfig(options),
    max: connectionsMax,
    verify: (client, done) => {
      makeDurable(client).then((off) => {
        if (off.length === 0) return done();
        if (options.mustBeDurable) return done(new UndurableError(off));
        // Said once: connections come and go.
        const settings = off.join(", ");
        if (!isReported) log.warn("storage.not_durable", { database, settings, wanted: "on" });
        isReported = true;
        done();
      }, done);
    },
  });
  // Both listeners keep a lost connection from being an uncaught error; whoever uses it sees its query fail.
  pool.on("error", (error) => log.debug("storage.connection_lost", { reason: error.message }));
  pool.on("connect", (client) => {
    open.add(client);
    client.on("error", () => {});
  });
  pool.on("remove", (client) => open.delete(client));
  return {
    connect: () => lease(pool, deadlineMs),
    async end() {
      const deadline = createDeadline("PostgreSQL", deadlineMs, () => {
        for (const client of open) client.connection.stream.destroy();
      });
      await deadline.race(pool.end()).finally(deadline.clear);
    },
  };
}

async function lease(pool: Pool, deadlineMs: number): Promise<PostgresPoolClient> {
  let client: PoolClient | undefined;
  const deadline = createDeadline("PostgreSQL", deadlineMs, () => client?.release(true));
  try {
    const connecting = pool.connect();
    // One that comes too late goes straight back.
    connecting.then((late) => deadline.expired && late.release()).catch(() => {});
    client = await deadline.race(connecting);
  } catch (error) {
    deadline.clear();
    throw error;
  }
  const leased = client;
  let hasFailed = false;
  return {
    query: createQuery(async (text, parameters) => {
      try {
        return await deadline.race(deadline.expired ? never : leased.query(text, [...parameters]));
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }),
    release() {
      deadline.clear();
      // Not used again once something failed on it: it may be half-dead, or its server may have become a replica.
      if (!deadline.expired) leased.release(hasFailed);
    },
  };
}

/** Gives the function kysely's two shapes; the second one, for cursors, is never used. */
function createQuery(
  run: (text: string, parameters: readonly unknown[]) => Promise<QueryResult>,
): PostgresPoolClient["query"] {
  function query<R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
  function query<R>(
    text: string | PostgresCursor<R>,
    parameters: readonly unknown[] = [],
  ): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
    if (typeof text !== "string") throw new Error("cursors are not used");
    // The caller's types say what a row is; they come from schema.ts through kysely.
    return run(text, parameters) as Promise<PostgresQueryResult<R>>;
  }
  return query;
}

const never = new Promise<never>(() => {});

/**
 * Settings that let the server say "committed" and forget (ST-04): one is mended for this connection, and those that
 * only the server's own configuration can mend, and are off, are returned.
 */
async function makeDurable(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ committing: string; fsync: string; whole: string }>(
    `select current_setting('fsync') as fsync, current_setting('full_page_writes') as whole, case
       when current_setting('synchronous_commit') in ('on', 'remote_apply')
       then current_setting('synchronous_commit')
       else set_config('synchronous_commit', 'on', false) end as committing`,
  );
  const [settings] = rows;
  if (settings?.committing !== "on" && settings?.committing !== "remote_apply") {
    throw new Error(`synchronous_commit is "${settings?.committing}" and could not be set to "on"`);
  }
  return [
    ...(settings.fsync === "on" ? [] : ["fsync"]),
    ...(settings.whole === "on" ? [] : ["full_page_writes"]),
  ];
}

/** Host, port and database: what of the URL may be shown. */
export function toLocation(url: string): string {
  try {
    const { hostname, port, pathname } = new URL(url);
    return `${hostname}:${port === "" ? "5432" : port}${decodeURIComponent(pathname)}`;
  } catch {
    // The text may hold a password, so it is not repeated.
    throw new StoreError(
      "conflict",
      "the database URL is not valid: expected postgres://user:password@host:port/database",
    );
  }
}

/** A connection outside the pool, for what outlives a query: a lock or a subscription. */
export async function connectSingle(
  options: PostgresOptions,
  ended: () => void,
): Promise<SingleConnection> {
  const client = new Client(toClientConfig(options));
  client.on("error", () => {});
  client.on("end", ended);
  const close = async (): Promise<void> => {
    const deadline = createDeadline("PostgreSQL", options.deadlineMs, () =>
      client.connection.stream.destroy(),
    );
    await deadline.race(client.end()).catch(() => {});
    deadline.clear();
  };
  try {
    await client.connect();
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  }
  return { client, close };
}

export interface SingleConnection {
  readonly client: Client;
  /** Ends the connection, by force where the server does not answer. Never rejects. */
  close(): Promise<void>;
}
