/**
 * Listens for other processes' writes. Notices are only hints: at every connect and every so often the revision is
 * read as well, so one missed while the connection was down, or lost with it, is made up for. Used by `postgres.ts`.
 */
import type { Client, Notification } from "pg";
import { connectSingle, type PostgresOptions } from "./postgres-pool.ts";

export const stateChannel = "mcp_gateway_state";

export interface WatchTimes {
  /** How often the revision is read although no notice came; also finds a dead connection. */
  readonly readEveryMs: number;
  /** Pause before connecting again. */
  readonly reconnectAfterMs: number;
}

export const defaultWatchTimes: WatchTimes = { readEveryMs: 15_000, reconnectAfterMs: 250 };

/** Calls back with every revision heard of, the current one at each connect included. Returns a stop function. */
export function watchState(
  options: PostgresOptions,
  changed: (stateRevision: number) => void,
  times: WatchTimes = defaultWatchTimes,
): () => void {
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    // One line an outage, not one an attempt.
    let isLost = false;
    const heard = (stateRevision: number): void => {
      isLost = false;
      changed(stateRevision);
    };
    while (!stopping.signal.aborted) {
      try {
        await listenOnce(options, heard, times, stopping.signal);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (!isLost) options.log.warn("storage.watch_lost", { reason });
        isLost = true;
      }
      await pause(times.reconnectAfterMs, stopping.signal);
    }
  };
  void loop();
  return () => stopping.abort();
}

async function listenOnce(
  options: PostgresOptions,
  changed: (stateRevision: number) => void,
  times: WatchTimes,
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const { client, close } = await connectSingle(options, () => ended.abort());
  try {
    client.on("notification", ({ payload }: Notification) => changed(Number(payload)));
    await client.query(`listen ${stateChannel}`);
    const over = AbortSignal.any([signal, ended.signal]);
    while (!over.aborted) {
      changed(await readRevision(client));
      await pause(times.readEveryMs, over);
    }
  } finally {
    await close();
  }
}

async function readRevision(client: Client): Promise<number> {
  const { rows } = await client.query<{ revision: number }>("select revision from state");
  return rows[0]?.revision ?? 0;
}

/** Resolves after the time or at once when the signal aborts. */
function pause(timeMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, timeMs);
    signal.addEventListener("abort", done);
  });
}
