/**
 * The embedded database itself: answers one request at a time, on the thread it is asked on. Imports nothing but
 * bun:sqlite and the file system, and knows no table. Hosted by `sqlite-worker.ts`, or by a caller that is a thread
 * of its own (`sqlite-connection.ts`).
 */
import { Database, type SQLQueryBindings } from "bun:sqlite";
import { chmodSync, closeSync, constants, openSync } from "node:fs";

export type SqliteValue = string | number | null;
export type SqliteRequest =
  | { readonly op: "open"; readonly path: string; readonly busyTimeoutMs: number }
  | { readonly op: "query"; readonly sql: string; readonly parameters: readonly SqliteValue[] }
  /** Rolls back what a caller that ran out of time left open. */
  | { readonly op: "reset" }
  | { readonly op: "lock"; readonly path: string }
  | { readonly op: "unlock"; readonly path: string }
  | { readonly op: "close" };

export interface SqliteResult {
  readonly rows: readonly Readonly<Record<string, SqliteValue>>[];
  readonly changes: number;
}
const nothing: SqliteResult = { rows: [], changes: 0 };

export type SqliteAnswer = (request: SqliteRequest) => SqliteResult;

/** A database that the first request, `open`, opens. */
export function createSqliteDatabase(): SqliteAnswer {
  let main: Database | undefined;
  /** Held locks: each is an open exclusive transaction on a file of its own, which the system ends with the process. */
  const locks = new Map<string, Database>();

  return answer;

  function answer(request: SqliteRequest): SqliteResult {
    switch (request.op) {
      case "open":
        main = openMain(request.path, request.busyTimeoutMs);
        return nothing;
      case "query":
        return run(request.sql, request.parameters);
      case "reset":
        if (main?.inTransaction) main.run("rollback");
        return nothing;
      case "lock":
        return { rows: [], changes: takeLock(request.path) ? 1 : 0 };
      case "unlock":
        locks.get(request.path)?.close();
        locks.delete(request.path);
        return nothing;
      case "close":
        for (const lock of locks.values()) lock.close();
        locks.clear();
        main?.close();
        return nothing;
      default:
        return request satisfies never;
    }
  }

  function run(sql: string, parameters: readonly SqliteValue[]): SqliteResult {
    if (main === undefined) throw new Error("the database is not open");
    const statement = main.query<Record<string, SqliteValue>, SQLQueryBindings[]>(sql);
    if (statement.columnNames.length > 0) return { rows: statement.all(...parameters), changes: 0 };
    return { rows: [], changes: statement.run(...parameters).changes };
  }

  function takeLock(path: string): boolean {
    if (locks.has(path)) return false;
    const db = openPrivate(path);
    try {
      db.run("pragma busy_timeout = 0");
      db.run("begin exclusive");
    } catch (error) {
      db.close();
      if (codeOf(error).startsWith("SQLITE_BUSY")) return false;
      throw error;
    }
    locks.set(path, db);
    return true;
  }
}

const pageBytes = 8_192;
/** When the journal's pages move over: a small disk has to hold it beside the file. */
const journalBytes = 4 * 1024 * 1024;

/**
 * WAL lets other processes read while one writes. FULL syncs every commit: records leave the spool once they are
 * here, and what an operator saved must survive a power cut. Deleted content is overwritten, because retention
 * promises that it is gone and not merely unlinked.
 */
function openMain(path: string, busyTimeoutMs: number): Database {
  const db = openPrivate(path);
  db.run(`pragma busy_timeout = ${Math.trunc(busyTimeoutMs)}`);
  // Of a new file. With larger pages a batch of records touches fewer, and few other rows are ever written.
  db.run(`pragma page_size = ${pageBytes}`);
  useWal(db, busyTimeoutMs);
  db.run("pragma synchronous = full");
  db.run("pragma secure_delete = on");
  db.run("pragma journal_size_limit = 67108864");
  db.run(`pragma wal_autocheckpoint = ${journalBytes / pageBytes}`);
  // Room for one batch's pages: with less, pages are written and read again before their commit.
  db.run("pragma cache_size = -16384");
  return db;
}

const retryAfterMs = 10;

/** SQLite does not wait for other processes here by itself: two that open a new file at once would refuse each other. */
function useWal(db: Database, busyTimeoutMs: number): void {
  for (let waitedMs = 0; ; waitedMs += retryAfterMs) {
    try {
      db.run("pragma journal_mode = wal");
      return;
    } catch (error) {
      if (!codeOf(error).startsWith("SQLITE_BUSY") || waitedMs >= busyTimeoutMs) throw error;
      Bun.sleepSync(retryAfterMs);
    }
  }
}

/** Readable by its owner only from the first byte on; SQLite gives its side files the same mode. */
function openPrivate(path: string): Database {
  closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW, 0o600));
  chmodSync(path, 0o600);
  return new Database(path, { readwrite: true, create: false, strict: true });
}

/** The code SQLite gave an error; empty where it is not one of its own. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
