/**
 * The SQLite dialect: kysely over messages to the database's own thread. One connection, used in turns; every use
 * ends by a deadline, and what it left open is rolled back before the next. Called by `open-store.ts`.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
} from "kysely";
import type { Log } from "../telemetry/log.ts";
import { createDeadline } from "./deadline.ts";
import type { SqlDialect } from "./dialect.ts";
import { SqliteListCompiler } from "./long-lists.ts";
import { startLimits } from "./migrations.ts";
import type { Tables } from "./schema.ts";
import {
  createDirectSqliteConnection,
  createSqliteConnection,
  type SqliteConnection,
} from "./sqlite-connection.ts";
import type { SqliteRequest, SqliteResult, SqliteValue } from "./sqlite-database.ts";
import { createJournalScrub } from "./sqlite-journal.ts";
import { StoreError } from "./store.ts";
import { createTurns } from "./turns.ts";

export interface SqliteOptions {
  readonly dataDir: string;
  /** The file's name in it. */
  readonly file?: string;
  /** Longest use of the connection, waiting for it included; the first one opens the file and may take as a start may. */
  readonly deadlineMs: number;
  /** Operations that may wait for the connection. */
  readonly waitersMax?: number;
  /** Without a thread of its own: for a caller that is one, and has nobody to hold up. */
  readonly isDirect?: boolean;
  readonly log: Log;
}

/** Opens `<dataDir>/gateway.sqlite`, or the file named, at its first use. */
export function createSqliteDialect(options: SqliteOptions): SqlDialect {
  const { dataDir, deadlineMs, log } = options;
  createDataDir(dataDir);
  const path = join(dataDir, options.file ?? "gateway.sqlite");
  // Another process may hold the file; give up before our own deadline does, to say so.
  const busyTimeoutMs = deadlineMs * 0.8;
  const connect = options.isDirect ? createDirectSqliteConnection : createSqliteConnection;
  const connection = connect({ path, busyTimeoutMs, log });
  const driver = createDriver(connection, deadlineMs, options.waitersMax ?? 1000);
  const db = new Kysely<Tables>({
    dialect: {
      createDriver: () => driver,
      createAdapter: () => new SqliteAdapter(),
      createQueryCompiler: () => new SqliteListCompiler(),
      createIntrospector: (over) => new SqliteIntrospector(over),
    },
  });
  const journal = createJournalScrub(db, path, log);
  const ask = async (request: SqliteRequest): Promise<SqliteResult> => {
    const deadline = createDeadline("SQLite", deadlineMs);
    try {
      return await deadline.race(connection.ask(request));
    } finally {
      deadline.clear();
    }
  };
  return {
    description: { kind: "sqlite", location: path },
    db,
    textType: "text",
    counterType: "integer",
    toStoreError,
    // A migration begins as a writer, and SQLite lets in one writer at a time, across processes.
    lockMigrations: async () => {},
    makeRoom: async () => {},
    // An append begins as a writer too, and every commit is synced.
    beginAppend: async () => {},
    readInOrder: (read) => read(db),
    scrub: journal.scrub,
    announce: async () => {},
    watch: () => () => {},
    async tryLock(name) {
      const lockPath = join(dataDir, `lock-${encodeURIComponent(name)}.sqlite`);
      const { changes } = await ask({ op: "lock", path: lockPath });
      if (changes === 0) return undefined;
      return async () => {
        // The work under the lock is done; a thread that does not answer must not turn it into a failure.
        await ask({ op: "unlock", path: lockPath }).catch((error: unknown) =>
          log.warn("storage.unlock_failed", { name, reason: String(error) }),
        );
      };
    },
    async close() {
      journal.stop();
      try {
        await ask({ op: "close" });
      } finally {
        connection.close();
      }
    },
  };
}

function createDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StoreError("unavailable", `cannot create the data folder ${dataDir}`, { cause });
  }
}

function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreError("unavailable", `SQLite: ${message}`, { cause: error });
}

function createDriver(
  connection: SqliteConnection,
  deadlineMs: number,
  waitersMax: number,
): Driver {
  const turns = createTurns(waitersMax);
  let patienceMs = Math.max(deadlineMs, startLimits.deadlineMs);
  const endUse = new WeakMap<DatabaseConnection, () => void>();
  const run = async (over: DatabaseConnection, text: string): Promise<void> => {
    await over.executeQuery(CompiledQuery.raw(text));
  };
  return {
    init: async () => {},
    async acquireConnection() {
      const turn = turns.enter();
      const deadline = createDeadline("SQLite", patienceMs);
      try {
        await deadline.race(turn.ready);
      } catch (error) {
        turn.abandon();
        throw error;
      }
      let hasFailed = false;
      const ask = (query: CompiledQuery): Promise<SqliteResult> =>
        deadline.race(deadline.expired ? never : connection.ask(toRequest(query)));
      const lease: DatabaseConnection = {
        async executeQuery<R>(query: CompiledQuery) {
          try {
            const { rows, changes } = await ask(query);
            patienceMs = deadlineMs;
            // The caller's types say what a row is; they come from schema.ts through kysely.
            return { rows: rows as R[], numAffectedRows: BigInt(changes) };
          } catch (error) {
            hasFailed = true;
            throw error;
          }
        },
        streamQuery() {
          throw new StoreError("unavailable", "streaming queries are not used");
        },
      };
      endUse.set(lease, () => {
        deadline.clear();
        // A rollback may have failed as well. Sent before the next user's first request, and answered in that order.
        if (hasFailed) connection.ask({ op: "reset" }).catch(() => {});
        turns.leave();
      });
      return lease;
    },
    // A writer takes its lock at once: one that reads first and writes later could be refused without waiting.
    beginTransaction: (over, { accessMode }) =>
      run(over, accessMode === "read only" ? "begin" : "begin immediate"),
    commitTransaction: (over) => run(over, "commit"),
    // A full disk or a failing one has SQLite roll back by itself; what is told is that, and not that nothing was left
    // to roll back. Anything else left open is reset before the next user.
    rollbackTransaction: (over) => run(over, "rollback").catch(() => {}),
    releaseConnection: async (over) => endUse.get(over)?.(),
    destroy: async () => {},
  };
}

const never = new Promise<never>(() => {});

function toRequest(query: CompiledQuery): SqliteRequest {
  return { op: "query", sql: query.sql, parameters: query.parameters as readonly SqliteValue[] };
}
