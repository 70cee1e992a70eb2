/**
 * What differs between the two databases: how to connect, lock, announce and watch, and what their errors mean.
 * `postgres.ts` and `sqlite.ts` implement it; `sql-store.ts` and `migrations.ts` are written once on top of it.
 */
import type { Kysely, Transaction } from "kysely";
import type { Tables } from "./schema.ts";
import type { StoreError } from "./store.ts";

export interface SqlDialect {
  readonly description: { readonly kind: "postgres" | "sqlite"; readonly location: string };
  /** Every use of a connection through it ends by the dialect's own deadline. */
  readonly db: Kysely<Tables>;
  /** The type of text columns: compared byte by byte, so both databases order alike. */
  readonly textType: string;
  /** The type of a key that the database counts up by itself. */
  readonly counterType: string;
  toStoreError(error: unknown): StoreError;
  /** Waits for other processes that migrate; held until the transaction ends. */
  lockMigrations(transaction: Transaction<Tables>): Promise<void>;
  /** Readies the table for records of these times. Never rejects: they find a place without it. */
  makeRoom(timesMs: readonly number[]): Promise<void>;
  /** Holds off others that append to these logs until the transaction ends, whose commit will be one that lasts. */
  beginAppend(transaction: Transaction<Tables>, logs: readonly number[]): Promise<void>;
  /** Reads rows that an index gives in their order: none is sorted, whatever the planner believes. */
  readInOrder<T>(read: (db: Kysely<Tables>) => Promise<T>): Promise<T>;
  /** Has what was overwritten or deleted leave the files beside the database's own, where it has such. */
  scrub(): Promise<void>;
  /** Tells other processes about a write, once the transaction commits. */
  announce(transaction: Transaction<Tables>, stateRevision: number): Promise<void>;
  /** Calls back with the state revision after writes of others; may repeat itself. Returns a stop function. */
  watch(changed: (stateRevision: number) => void): () => void;
  /** Takes a named lock across processes and resolves with its release; undefined where it is held. */
  tryLock(name: string): Promise<(() => Promise<void>) | undefined>;
  close(): Promise<void>;
}

/** What a step of the schema's history needs to know of its database. */
export type ColumnTypes = Pick<SqlDialect, "textType" | "counterType" | "description">;
