/**
 * The embedded database on its own thread: a synced commit takes milliseconds, which the event loop must not spend.
 * Answers one message at a time, in order. Started by `sqlite-connection.ts`; an extra entry point of the executable.
 */
import {
  codeOf,
  createSqliteDatabase,
  type SqliteRequest,
  type SqliteResult,
} from "./sqlite-database.ts";

export type SqliteReply =
  | { readonly id: number; readonly result: SqliteResult }
  | { readonly id: number; readonly error: { readonly message: string; readonly code: string } };

interface Envelope {
  readonly id: number;
  readonly request: SqliteRequest;
}

const answer = createSqliteDatabase();

declare const self: Worker;
self.onmessage = ({ data: { id, request } }: MessageEvent<Envelope>) => {
  self.postMessage(reply(id, request));
};

function reply(id: number, request: SqliteRequest): SqliteReply {
  try {
    return { id, result: answer(request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { id, error: { message, code: codeOf(error) } };
  }
}
