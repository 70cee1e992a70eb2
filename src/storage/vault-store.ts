/**
 * The key vault over SQL: a file of its own beside the records' (`vault.sqlite`), or a PostgreSQL that nodes share.
 * Called by `compose/`; what a key is and what opens it is `vault/`'s business.
 */
import { type SqlBool, sql } from "kysely";
import type { Log } from "../telemetry/log.ts";
import type { KeyPage, StoredKey, VaultStore } from "../vault/store.ts";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { VaultKeysTable } from "./schema.ts";
import { createSqliteDialect } from "./sqlite.ts";
import { StoreError } from "./store.ts";
import { isUnderKek, migrateVault } from "./vault-schema.ts";
import { createSweepStore } from "./vault-sweeps.ts";
import { openWaiting } from "./waiting.ts";

export interface OpenVaultStoreOptions {
  /** `postgres://…`; undefined = `vault.sqlite` in `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  readonly log: Log;
  /** Longest any one operation may take. */
  readonly deadlineMs: number;
  /** How long to keep trying where PostgreSQL cannot be reached. */
  readonly waitMs: number;
}

const vaultFile = "vault.sqlite";
const connectionsMax = 4;
const idsPerStatementMax = 512;

/** Rejects with a `StoreError` where it cannot be reached in time, refuses this gateway, or has a newer schema. */
export async function openVaultStore(options: OpenVaultStoreOptions): Promise<VaultStore> {
  const { url, waitMs, log } = options;
  const open = () => openMigrated(options);
  return createVaultStore(await openWaiting(open, { isServer: url !== undefined, waitMs, log }));
}

async function openMigrated(options: OpenVaultStoreOptions): Promise<SqlDialect> {
  const dialect = await createDialect(options);
  try {
    await migrateVault(dialect);
    return dialect;
  } catch (error) {
    await dialect.close().catch(() => {});
    throw dialect.toStoreError(error);
  }
}

async function createDialect(options: OpenVaultStoreOptions): Promise<SqlDialect> {
  const { url, dataDir, log, deadlineMs } = options;
  if (url === undefined) return createSqliteDialect({ dataDir, file: vaultFile, deadlineMs, log });
  const { createPostgresDialect } = await import("./postgres.ts");
  return createPostgresDialect({ url, deadlineMs, connectionsMax, log });
}

function createVaultStore(dialect: SqlDialect): VaultStore {
  const { db } = dialect;
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw dialect.toStoreError(error);
    }
  };
  const keys = () => db.selectFrom("vault_keys").selectAll();
  const findActive = async (owners: readonly string[]) => {
    const rows = await keys().where("owner", "in", owners).where("state", "=", "active").execute();
    return rows.map(fromTable);
  };

  async function listUnderOlder(epoch: number, { after, limit }: KeyPage) {
    let found = keys().where(isUnderKek).where("epoch", "<", epoch);
    if (after !== undefined) {
      found = found.where(sql<SqlBool>`(epoch, id) > (${after.epoch}, ${after.id})`);
    }
    const rows = await found.orderBy("epoch").orderBy("id").limit(limit).execute();
    return rows.map(fromTable);
  }

  return {
    description: dialect.description,
    sweeps: createSweepStore(dialect, guard),
    insertOrRead: (key) =>
      guard(async () => {
        await db
          .insertInto("vault_keys")
          .values(toTable(key))
          .onConflict((conflict) => conflict.doNothing())
          .execute();
        const [standing] = await findActive([key.owner ?? ""]);
        if (standing !== undefined) return standing;
        throw new StoreError("unavailable", `key ${key.id} was destroyed while it was made`);
      }),
    active: (owners) => guard(() => findActive(owners)),
    ofOwner: (owner) =>
      guard(async () => {
        const rows = await keys().where("owner", "=", owner).orderBy("id").execute();
        return rows.map(fromTable);
      }),
    byIds: (ids) =>
      guard(async () => {
        const found: StoredKey[] = [];
        for (const chunk of chunksOf(ids, idsPerStatementMax)) {
          const rows = await keys().where("id", "in", chunk).execute();
          found.push(...rows.map(fromTable));
        }
        return found;
      }),
    list: (purpose, limit) =>
      guard(async () => {
        const found = keys().where("purpose", "=", purpose).orderBy("id").limit(limit);
        return (await found.execute()).map(fromTable);
      }),
    listUnderOlder: (epoch, page) => guard(() => listUnderOlder(epoch, page)),
    rewrap: (keys) =>
      guard(async () => {
        let rewrapped = 0n;
        for (const chunk of chunksOf(keys, idsPerStatementMax)) {
          // Columns of `values` have these names in both dialects.
          const rows = chunk.map(
            ({ id, fromEpoch, epoch, wrapped }) =>
              sql`(${id}, cast(${fromEpoch} as bigint), cast(${epoch} as bigint), ${wrapped})`,
          );
          const { numAffectedRows = 0n } = await sql`update vault_keys
            set epoch = moved.column3, wrapped = moved.column4 from (values ${sql.join(rows)}) as moved
            where id = moved.column1 and epoch = moved.column2 and wrapped is not null`.execute(db);
          rewrapped += numAffectedRows;
        }
        return Number(rewrapped);
      }),
    succeed: (id, next) =>
      guard(() =>
        db.transaction().execute(async (transaction) => {
          const { numUpdatedRows } = await transaction
            .updateTable("vault_keys")
            .set({ state: "decrypt-only" })
            .where("id", "=", id)
            .where("state", "=", "active")
            .executeTakeFirst();
          if (numUpdatedRows === 0n) return false;
          await transaction.insertInto("vault_keys").values(toTable(next)).execute();
          return true;
        }),
      ),
    destroy: (ids, nowMs) =>
      guard(async () => {
        const destroyed: string[] = [];
        for (const chunk of chunksOf(ids, idsPerStatementMax)) {
          const rows = await db
            .updateTable("vault_keys")
            .set({ state: "destroyed", owner: null, wrapped: null, destroyed_at_ms: nowMs })
            .where("id", "in", chunk)
            .where("state", "!=", "destroyed")
            .returning("id")
            .execute();
          destroyed.push(...rows.map(({ id }) => id));
        }
        return destroyed;
      }),
    ping: () =>
      guard(async () => {
        await sql`select 1`.execute(db);
      }),
    close: () => guard(() => dialect.close()),
  };
}

function toTable(key: StoredKey): VaultKeysTable {
  const { createdAtMs, destroyedAtMs, ...same } = key;
  return { ...same, created_at_ms: createdAtMs, destroyed_at_ms: destroyedAtMs };
}

function fromTable(row: VaultKeysTable): StoredKey {
  const { created_at_ms, destroyed_at_ms, ...same } = row;
  return { ...same, createdAtMs: created_at_ms, destroyedAtMs: destroyed_at_ms };
}
