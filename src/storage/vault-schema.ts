/**
 * The tables of the key vault and their history: its database is apart from the records', so it has one of its own.
 * Forward only, behind a lock that other processes respect. Called by `vault-store.ts`.
 */
import { type Kysely, type SqlBool, sql, type Transaction } from "kysely";
import type { SqlDialect } from "./dialect.ts";
import type { Tables } from "./schema.ts";
import { StoreError } from "./store.ts";
import { createSweeps } from "./vault-sweeps.ts";

const migrations: readonly ((db: Transaction<Tables>, textType: string) => Promise<void>)[] = [
  createKeys,
  createSweeps,
  addKekIndex,
];

/** Of a key that a KEK wraps. A query must say it in these words, or it does not get the index. */
export const isUnderKek = sql<SqlBool>`purpose <> 'kek' and wrapped is not null`;

/** Brings the vault's tables up to date; refuses those of a later release. */
export async function migrateVault(dialect: SqlDialect): Promise<void> {
  await dialect.db.transaction().execute(async (db) => {
    await dialect.lockMigrations(db);
    await db.schema
      .createTable("vault_migrations")
      .ifNotExists()
      .addColumn("version", "bigint", (column) => column.primaryKey())
      .execute();
    const found = await readVersion(db);
    if (found > migrations.length) {
      throw new StoreError(
        "conflict",
        `the key vault has schema version ${found}, newer than the ${migrations.length} this program knows: ` +
          "run the release that wrote it, or a later one",
      );
    }
    for (const [index, up] of migrations.entries()) {
      if (index < found) continue;
      await up(db, dialect.textType);
      await db
        .insertInto("vault_migrations")
        .values({ version: index + 1 })
        .execute();
    }
  });
}

async function readVersion(db: Kysely<Tables>): Promise<number> {
  const newest = await db
    .selectFrom("vault_migrations")
    .select("version")
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  return newest?.version ?? 0;
}

async function createKeys(db: Transaction<Tables>, textType: string): Promise<void> {
  const text = sql.raw(textType);
  await db.schema
    .createTable("vault_keys")
    .addColumn("id", text, (column) => column.primaryKey())
    .addColumn("purpose", text, (column) => column.notNull())
    .addColumn("tenant", text, (column) => column.notNull())
    .addColumn("label", text, (column) => column.notNull())
    .addColumn("owner", text)
    .addColumn("epoch", "bigint", (column) => column.notNull())
    .addColumn("wrapped", text)
    .addColumn("state", text, (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("destroyed_at_ms", "bigint")
    .execute();
  // Two nodes that make the same owner's key at once end with one.
  await db.schema
    .createIndex("vault_keys_active")
    .unique()
    .on("vault_keys")
    .column("owner")
    .where(sql<SqlBool>`state = 'active'`)
    .execute();
  await db.schema.createIndex("vault_keys_by_owner").on("vault_keys").column("owner").execute();
  await db.schema
    .createIndex("vault_keys_by_purpose")
    .on("vault_keys")
    .columns(["purpose", "id"])
    .execute();
}

/** Whether anything lies under older KEKs is asked every few seconds, of a table that holds everybody's keys. */
async function addKekIndex(db: Transaction<Tables>): Promise<void> {
  await db.schema
    .createIndex("vault_keys_by_kek")
    .on("vault_keys")
    .columns(["epoch", "id"])
    .where(isUnderKek)
    .execute();
}
