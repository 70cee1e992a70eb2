/**
 * Waiting, at a start, for a PostgreSQL that is not there yet. What it refuses for good ends the wait at once: a wrong
 * password stays wrong however long somebody waits (ST-01). Used by `open-store.ts` and `vault-store.ts`.
 */
import type { Log } from "../telemetry/log.ts";
import { StoreError } from "./store.ts";
import { UndurableError } from "./undurable.ts";

export interface Waiting {
  /** Whether a server may still be on its way; a folder that cannot be opened stays so. */
  readonly isServer: boolean;
  /** How long to keep trying. 0 = one attempt. */
  readonly waitMs: number;
  readonly log: Log;
}

const retryAfterMs = 250;

/**
 * Resolves as the first `open` that succeeds. Rejects with its `StoreError`: at once where waiting changes nothing,
 * with kind "conflict" where the server refuses this gateway, and otherwise when the time is over.
 */
export async function openWaiting<T>(open: () => Promise<T>, waiting: Waiting): Promise<T> {
  const { isServer, waitMs, log } = waiting;
  const giveUp = AbortSignal.timeout(waitMs);
  let said: string | undefined;
  while (true) {
    try {
      return await open();
    } catch (error) {
      if (!isServer || !(error instanceof StoreError) || error.kind !== "unavailable") throw error;
      if (isForGood(error)) throw refused(error);
      if (waitMs === 0 || giveUp.aborted) throw error;
      // Once a reason, not once a try.
      if (error.message !== said) log.warn("storage.waiting", { reason: error.message });
      said = error.message;
      await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
    }
  }
}

/**
 * Classes of SQLSTATE that no waiting changes: a feature that this server lacks, authorization, a database or a schema
 * that does not exist, and statements that this role or these tables do not allow.
 */
const lastingClasses: ReadonlySet<string> = new Set(["0A", "28", "3D", "3F", "42"]);
const sqlState = /^[0-9A-Z]{5}$/;

function isForGood({ cause }: StoreError): boolean {
  if (!(cause instanceof Error)) return false;
  if (cause instanceof UndurableError) return true;
  const code = "code" in cause ? String(cause.code) : "";
  if (sqlState.test(code)) return lastingClasses.has(code.slice(0, 2));
  // The driver's own words where the URL has no password, or one that the handshake cannot use.
  return cause.message.startsWith("SASL: ");
}

/** The server names the user and the database and never the password. */
function refused({ message, cause }: StoreError): StoreError {
  const advice =
    cause instanceof UndurableError
      ? ""
      : "; check the user, the password and the database's name in the URL, and what the role may do";
  const reason = `the database refuses this gateway, and waiting would change nothing: ${message}`;
  return new StoreError("conflict", `${reason}${advice}`, { cause });
}
