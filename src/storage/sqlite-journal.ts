/**
 * Empties SQLite's journal of what was overwritten or deleted in the database. Somebody who reads keeps it from being
 * emptied, and SQLite says so only in its answer: then it is said in the log and tried again until it is done. Used by
 * `sqlite.ts`.
 */
import { type Kysely, sql } from "kysely";
import type { Log } from "../telemetry/log.ts";
import type { Tables } from "./schema.ts";

export interface JournalScrub {
  /** Resolves when it was tried, which may be before it is done. */
  scrub(): Promise<void>;
  stop(): void;
}

const againAfterMs = 1_000;

export function createJournalScrub(db: Kysely<Tables>, path: string, log: Log): JournalScrub {
  let again: ReturnType<typeof setTimeout> | undefined;
  let isSaid = false;
  let isStopped = false;

  async function scrub(): Promise<void> {
    const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(db);
    if (rows[0]?.busy === 0) {
      if (isSaid) log.info("storage.journal_emptied", { path });
      isSaid = false;
      return;
    }
    if (!isSaid) log.warn("storage.journal_not_emptied", { path, reason: "somebody reads in it" });
    isSaid = true;
    tryAgain();
  }

  function tryAgain(): void {
    if (isStopped) return;
    clearTimeout(again);
    again = setTimeout(() => void scrub().catch(tryAgain), againAfterMs);
    again.unref();
  }

  function stop(): void {
    isStopped = true;
    clearTimeout(again);
  }

  return { scrub, stop };
}
