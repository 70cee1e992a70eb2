/**
 * What is still to be done for keys that were ordered destroyed, kept in the vault's database: a sweep is written
 * before its key is destroyed, so whatever a crash interrupts is found and finished by whoever comes next. A shape that
 * several folders agree on; `storage/vault-sweeps.ts` implements it.
 */

/** One key, and how the records sealed under it are found. Search tokens stay only until the sweep is done. */
export interface Sweep {
  /** The key's id. */
  readonly key: string;
  readonly purpose: "subject" | "class";
  /** Empty = of no tenant. */
  readonly tenant: string;
  /** Of a class's key its class and month, such as `CONFIDENTIAL 2026-11`; empty for a subject's. */
  readonly label: string;
  /** Tokens that the subject stands under in the copy's column `principal`; null = look at all rows. */
  readonly principals: readonly string[] | null;
  readonly fromMs: number | null;
  readonly untilMs: number | null;
  readonly orderedAtMs: number;
  /** Not to wait until several subjects can be swept together. */
  readonly isUrgent: boolean;
  /** Whether `keys.destroyed` stands in a log. */
  readonly isRecorded: boolean;
}

export interface KeyGroup {
  readonly purpose: "kek" | "subject" | "class" | "index";
  readonly tenant: string;
  readonly label: string;
  readonly epoch: number;
  readonly state: "active" | "decrypt-only" | "destroyed";
  readonly count: number;
  readonly oldestAtMs: number;
  readonly newestAtMs: number;
}

export interface SweepStore {
  /** Adds sweeps, or writes them anew. */
  put(sweeps: readonly Sweep[]): Promise<void>;
  /** Those not finished, in order of their keys: at most `limit` after the key `after`. */
  list(limit: number, after: string): Promise<readonly Sweep[]>;
  /** Says that a log's node swept its own spool and rows; returns the keys that every known node has swept. */
  swept(keys: readonly string[], logId: string): Promise<readonly string[]>;
  /** Which of these keys the log's node swept already. */
  sweptBy(keys: readonly string[], logId: string): Promise<readonly string[]>;
  remove(keys: readonly string[]): Promise<void>;
  /**
   * Says that the node of this log lives, and forgets those not seen since `knownSinceMs`; returns the logs of the
   * others seen since `liveSinceMs`.
   */
  noteAlive(
    logId: string,
    nowMs: number,
    since: { readonly liveSinceMs: number; readonly knownSinceMs: number },
  ): Promise<readonly string[]>;
  /** How many keys there are of each kind, tenant, epoch and state; `tenant` narrows to one. */
  summary(tenant: string | undefined): Promise<readonly KeyGroup[]>;
  /** Makes the database forget what destroyed keys' rows held: the journal is emptied, dead rows are written over. */
  scrub(): Promise<void>;
}
