/**
 * The database of another trust domain that witnesses this node's checkpoints: one table, made there by its owner with
 * `deploy/witness-database.sql`, in which the gateway's role may insert and select and nothing else. Opened by compose.
 */
import type { Log } from "../telemetry/log.ts";
import { createPostgresDialect } from "./postgres.ts";
import { createCheckpointStore } from "./sql-checkpoints.ts";
import type { CheckpointStore } from "./store.ts";

export interface WitnessDatabase extends CheckpointStore {
  close(): Promise<void>;
}

/** Connects at its first use, and again whenever the server comes back. */
export function openWitnessDatabase(options: {
  readonly url: string;
  readonly deadlineMs: number;
  readonly log: Log;
}): WitnessDatabase {
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
