/**
 * The way to the embedded database: messages to and from its thread, matched by number, or plain calls where the
 * caller is a thread of its own. If the database's thread dies, what waits on it fails and the next request starts
 * another. Used by `sqlite.ts`, which sees to it that transactions do not interleave.
 */
import { startWorker } from "../lib/worker.ts";
import type { Log } from "../telemetry/log.ts";
import {
  codeOf,
  createSqliteDatabase,
  type SqliteAnswer,
  type SqliteRequest,
  type SqliteResult,
} from "./sqlite-database.ts";
import type { SqliteReply } from "./sqlite-worker.ts";
import { StoreError } from "./store.ts";

export interface SqliteConnection {
  /** Sends one request to the thread; requests are answered in the order they were sent. */
  ask(request: SqliteRequest): Promise<SqliteResult>;
  close(): void;
}

export interface SqliteConnectionOptions {
  readonly path: string;
  readonly busyTimeoutMs: number;
  readonly log: Log;
}

interface Running {
  readonly worker: Worker;
  readonly waiting: Map<number, PromiseWithResolvers<SqliteResult>>;
}

export function createSqliteConnection(options: SqliteConnectionOptions): SqliteConnection {
  let running: Running | undefined;
  let lastId = 0;
  let closed = false;

  const send = ({ worker, waiting }: Running, request: SqliteRequest): Promise<SqliteResult> => {
    lastId += 1;
    const answer = Promise.withResolvers<SqliteResult>();
    waiting.set(lastId, answer);
    worker.postMessage({ id: lastId, request });
    return answer.promise;
  };
  const start = (): Running => {
    const started: Running = { worker: startWorker("storage/sqlite-worker"), waiting: new Map() };
    started.worker.onmessage = (event: MessageEvent<SqliteReply>) => settle(started, event.data);
    const lost = (reason: string): void => {
      failAll(started, `the SQLite thread ended: ${reason}`);
      if (running !== started || closed) return;
      running = undefined;
      options.log.error("storage.thread_ended", { reason });
    };
    started.worker.onerror = (event) => lost(event.message);
    started.worker.addEventListener("close", () => lost("closed"));
    const { path, busyTimeoutMs } = options;
    send(started, { op: "open", path, busyTimeoutMs }).catch((error: unknown) => {
      if (running === started) running = undefined;
      failAll(started, error instanceof Error ? error.message : String(error), error);
      started.worker.terminate();
    });
    return started;
  };
  return {
    ask(request) {
      if (closed) return Promise.reject(new StoreError("unavailable", "the database is closed"));
      running ??= start();
      return send(running, request);
    },
    close() {
      closed = true;
      if (running === undefined) return;
      failAll(running, "the database is closed");
      running.worker.terminate();
    },
  };
}

/** The database on the calling thread, opened at the first request: nothing is copied between threads. */
export function createDirectSqliteConnection(options: SqliteConnectionOptions): SqliteConnection {
  const { path, busyTimeoutMs } = options;
  let answer: SqliteAnswer | undefined;
  const open = (): SqliteAnswer => {
    const opened = createSqliteDatabase();
    opened({ op: "open", path, busyTimeoutMs });
    return opened;
  };
  return {
    async ask(request) {
      try {
        answer ??= open();
        return answer(request);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw toSqliteStoreError(message, codeOf(error));
      }
    },
    close() {},
  };
}

function settle({ waiting }: Running, reply: SqliteReply): void {
  const answer = waiting.get(reply.id);
  waiting.delete(reply.id);
  if ("result" in reply) answer?.resolve(reply.result);
  else answer?.reject(toSqliteStoreError(reply.error.message, reply.error.code));
}

function failAll({ waiting }: Running, message: string, cause?: unknown): void {
  const kind = cause instanceof StoreError ? cause.kind : "unavailable";
  for (const answer of waiting.values()) answer.reject(new StoreError(kind, message, { cause }));
  waiting.clear();
}

/** Damage is told apart, because waiting does not mend it. */
function toSqliteStoreError(message: string, code: string): StoreError {
  const isDamaged = code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
  const kind = isDamaged ? "corrupt" : "unavailable";
  return new StoreError(kind, `SQLite: ${message}${code === "" ? "" : ` (${code})`}`);
}
