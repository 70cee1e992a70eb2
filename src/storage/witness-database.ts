/**
 * The database of another trust domain that witnesses this node's checkpoints: one table, made there by its owner with
 * `deploy/witness-database.sql`, in which the gateway's role may insert and select and nothing else. Opened by compose.
 */
import { once } from "../lib/once.ts";
import type { Log } from "../telemetry/log.ts";
import { createCheckpointStore } from "./sql-checkpoints.ts";
import type { CheckpointStore } from "./store.ts";

export interface WitnessDatabase extends CheckpointStore {
  close(): Promise<void>;
}

interface WitnessDatabaseOptions {
  readonly url: string;
  readonly deadlineMs: number;
  readonly log: Log;
}

/** Connects at its first use, and again whenever the server comes back. */
export function openWitnessDatabase(options: WitnessDatabaseOptions): WitnessDatabase {
  const open = once(() => openDatabase(options));
  return {
    last: async (logId) => await (await open()).last(logId),
    add: async (checkpoint, nowMs) => await (await open()).add(checkpoint, nowMs),
    close: async () => await (await open()).close(),
  };
}

/** The driver is loaded where it is used and not before: most have no such database. */
async function openDatabase(options: WitnessDatabaseOptions): Promise<WitnessDatabase> {
  const { createPostgresDialect } = await import("./postgres.ts");
  const dialect = createPostgresDialect({ ...options, connectionsMax: 1 });
  const store = createCheckpointStore(dialect, async (work) => {
    try {
      return await work();
    } catch (error) {
      throw dialect.toStoreError(error);
    }
  });
  return { ...store, close: () => dialect.close() };
}
