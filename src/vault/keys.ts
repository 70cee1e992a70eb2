/**
 * What the audit log and its readers ask of the vault: pairs to seal with, keys to open with, tokens to search with.
 * A shape that several folders agree on; `vault.ts` implements it, `compose/` hands it on.
 */

/** The two keys that seal a person's values of one data class and month, as one derived key. */
export interface SealingPair {
  /** Stands for the pair in messages to the spool's thread. Never 0, never used twice in a process. */
  readonly ref: number;
  /** Key ids: 16 hex digits each. */
  readonly subject: string;
  readonly class: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** What values are searched by instead of themselves: 32 bytes for HMAC-SHA256. */
export interface IndexKey {
  readonly id: string;
  readonly key: Uint8Array;
}

export interface SealingListener {
  /** Comes before any record names the pair. */
  paired(pair: SealingPair): void;
  /** No later record names the pair. */
  forgotten(ref: number): void;
  indexed(index: IndexKey): void;
}

export interface SealingKeys {
  /**
   * The reference of the pair for a subject's values; at once where it is known. Rejects where the vault cannot be
   * asked. `tenant` is empty for none, `subject` for nobody in particular; `month` is such as `2026-11`.
   */
  pairFor(
    tenant: string,
    subject: string,
    dataClass: string,
    month: string,
  ): number | Promise<number>;
  /** Tells of pairs and of the index key, those of now included. One listener: the spool. */
  listen(listener: SealingListener): void;
}

/** The key ids in a record's sealed part. */
export interface PairId {
  readonly subject: string;
  readonly class: string;
}

/** 32 bytes, the caller's to zero; "destroyed" where one of the two is; "unknown" where this vault has none of the name. */
export type OpeningKey = Uint8Array | "destroyed" | "unknown";

export interface OpeningKeys {
  /** In the order asked. Rejects where the vault cannot be asked. */
  openingKeys(pairs: readonly PairId[]): Promise<readonly OpeningKey[]>;
  /** Every index key that is not destroyed, the active one first: a value stands as one token for each. */
  indexKeys(): Promise<readonly IndexKey[]>;
}
