/**
 * Where wrapped keys lie: a database apart from the records', or a file of its own. Nothing in it opens anything
 * without the root key, and nothing in it names a person. Implemented by `storage/vault-store.ts`; every method
 * rejects with a `StoreError` and ends by its own deadline.
 */

import type { SweepStore } from "./sweeps.ts";

/** `kek` wraps the others and is wrapped under the root itself. */
export type KeyPurpose = "kek" | "subject" | "class" | "index";

/**
 * `active`: seals and opens. `decrypt-only`: has a successor. `destroyed`: nothing is left of it but its row, which
 * says that it was.
 */
export type KeyState = "active" | "decrypt-only" | "destroyed";

export interface StoredKey {
  /** 16 hex digits, random. */
  readonly id: string;
  readonly purpose: KeyPurpose;
  /** Empty = of no tenant. */
  readonly tenant: string;
  /** For operators: a class's name and month, such as `CONFIDENTIAL 2026-11`; empty for subjects, who are not named. */
  readonly label: string;
  /** Whose key it is, as an HMAC under the root: one active key an owner. Null once destroyed. */
  readonly owner: string | null;
  /** Of a KEK its own number, from 1; of any other key the number of the KEK that wraps it. */
  readonly epoch: number;
  /** Base64; null once destroyed. */
  readonly wrapped: string | null;
  readonly state: KeyState;
  readonly createdAtMs: number;
  readonly destroyedAtMs: number | null;
}

/** The same key under another KEK. */
export interface RewrappedKey {
  readonly id: string;
  readonly fromEpoch: number;
  readonly epoch: number;
  readonly wrapped: string;
}

export interface KeyPage {
  /** Goes on after this key. */
  readonly after?: Pick<StoredKey, "epoch" | "id"> | undefined;
  readonly limit: number;
}

export interface VaultStore {
  /** What is still to be swept for destroyed keys. */
  readonly sweeps: SweepStore;
  /** The owner's active key: this one, or the one that another node was quicker with. */
  insertOrRead(key: StoredKey): Promise<StoredKey>;
  /** The active keys of these owners, in no order. */
  active(owners: readonly string[]): Promise<readonly StoredKey[]>;
  /** Every key of an owner that is not destroyed, however old. */
  ofOwner(owner: string): Promise<readonly StoredKey[]>;
  byIds(ids: readonly string[]): Promise<readonly StoredKey[]>;
  /** Those of one purpose, in order of id. */
  list(purpose: KeyPurpose, limit: number): Promise<readonly StoredKey[]>;
  /** What lies under KEKs older than that of `epoch`, in order of epoch and id. */
  listUnderOlder(epoch: number, page: KeyPage): Promise<readonly StoredKey[]>;
  /** All in one write; returns how many, without those no longer under `fromEpoch`. */
  rewrap(keys: readonly RewrappedKey[]): Promise<number>;
  /** Makes an active key decrypt-only and `next` its owner's active one; false where it was no longer active. */
  succeed(id: string, next: StoredKey): Promise<boolean>;
  /** Overwrites keys with nothing; returns the ids that this call destroyed. */
  destroy(ids: readonly string[], nowMs: number): Promise<readonly string[]>;
  ping(): Promise<void>;
  readonly description: { readonly kind: "postgres" | "sqlite"; readonly location: string };
  close(): Promise<void>;
}
