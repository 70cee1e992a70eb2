/**
 * What erasure keeps in the vault's database: sweeps to be done, which node did them, which nodes live; and what keys
 * there are in numbers. Part of `vault-store.ts`.
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { KeyGroup, Sweep, SweepStore } from "../vault/sweeps.ts";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { Tables } from "./schema.ts";
import type { Guard } from "./sql-part.ts";

/** The second step of the vault's schema. */
export async function createSweeps(db: Transaction<Tables>, textType: string): Promise<void> {
  const text = sql.raw(textType);
  await db.schema
    .createTable("vault_sweeps")
    .addColumn("key", text, (column) => column.primaryKey())
    .addColumn("sweep", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("vault_swept")
    .addColumn("key", text, (column) => column.notNull())
    .addColumn("log_id", text, (column) => column.notNull())
    .addPrimaryKeyConstraint("vault_swept_key", ["key", "log_id"])
    .execute();
  await db.schema
    .createTable("vault_nodes")
    .addColumn("log_id", text, (column) => column.primaryKey())
    .addColumn("seen_at_ms", "bigint", (column) => column.notNull())
    .execute();
}

const keysPerStatementMax = 256;
const groupsMax = 10_000;

export function createSweepStore(dialect: SqlDialect, guard: Guard): SweepStore {
  const { db, description } = dialect;
  return {
    put: (sweeps) =>
      guard(async () => {
        for (const chunk of chunksOf(sweeps, keysPerStatementMax)) {
          const rows = chunk.map((sweep) => ({ key: sweep.key, sweep: JSON.stringify(sweep) }));
          await db
            .insertInto("vault_sweeps")
            .values(rows)
            .onConflict((conflict) =>
              conflict.column("key").doUpdateSet((eb) => ({ sweep: eb.ref("excluded.sweep") })),
            )
            .execute();
        }
      }),
    list: (limit, after) =>
      guard(async () => {
        const rows = await db
          .selectFrom("vault_sweeps")
          .selectAll()
          .where("key", ">", after)
          .orderBy("key")
          .limit(limit)
          .execute();
        // Written by `put`, and by nothing else.
        return rows.map((row) => JSON.parse(row.sweep) as Sweep);
      }),
    swept: (keys, logId) =>
      guard(() => db.transaction().execute((open) => noteSwept(open, keys, logId))),
    sweptBy: (keys, logId) =>
      guard(async () => {
        const found: string[] = [];
        for (const chunk of chunksOf(keys, keysPerStatementMax)) {
          const rows = await db
            .selectFrom("vault_swept")
            .select("key")
            .where("log_id", "=", logId)
            .where("key", "in", chunk)
            .execute();
          found.push(...rows.map((row) => row.key));
        }
        return found;
      }),
    remove: (keys) =>
      guard(async () => {
        for (const chunk of chunksOf(keys, keysPerStatementMax)) {
          await db.deleteFrom("vault_sweeps").where("key", "in", chunk).execute();
          await db.deleteFrom("vault_swept").where("key", "in", chunk).execute();
        }
      }),
    noteAlive: (log_id, nowMs, { liveSinceMs, knownSinceMs }) =>
      guard(async () => {
        await db.deleteFrom("vault_nodes").where("seen_at_ms", "<", knownSinceMs).execute();
        await db
          .insertInto("vault_nodes")
          .values({ log_id, seen_at_ms: nowMs })
          .onConflict((conflict) => conflict.column("log_id").doUpdateSet({ seen_at_ms: nowMs }))
          .execute();
        const live = await readNodes(db, liveSinceMs);
        return live.filter((other) => other !== log_id);
      }),
    summary: (tenant) => guard(() => summarise(db, tenant)),
    scrub: () =>
      guard(async () => {
        await dialect.scrub();
        if (description.kind !== "postgres") return;
        // A dead row's bytes stay in PostgreSQL's files until they are written anew. Neither runs inside a transaction.
        await sql`vacuum full vault_keys`.execute(db);
        await sql`vacuum full vault_sweeps`.execute(db);
      }),
  };
}

async function noteSwept(
  db: Transaction<Tables>,
  keys: readonly string[],
  logId: string,
): Promise<readonly string[]> {
  const known = [...new Set([logId, ...(await readNodes(db, 0))])];
  const done = new Set<string>();
  for (const chunk of chunksOf(keys, keysPerStatementMax)) {
    await db
      .insertInto("vault_swept")
      .values(chunk.map((key) => ({ key, log_id: logId })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    // By both columns of the index: by keys alone, a server without statistics would read the whole table.
    const rows = await db
      .selectFrom("vault_swept")
      .selectAll()
      .where("key", "in", chunk)
      .where("log_id", "in", known)
      .execute();
    for (const row of rows) done.add(`${row.key} ${row.log_id}`);
  }
  return keys.filter((key) => known.every((log) => done.has(`${key} ${log}`)));
}

async function readNodes(db: Kysely<Tables>, sinceMs: number): Promise<readonly string[]> {
  const rows = await db
    .selectFrom("vault_nodes")
    .select("log_id")
    .where("seen_at_ms", ">=", sinceMs)
    .execute();
  return rows.map((row) => row.log_id);
}

async function summarise(
  db: Kysely<Tables>,
  tenant: string | undefined,
): Promise<readonly KeyGroup[]> {
  let query = db
    .selectFrom("vault_keys")
    .select(["purpose", "tenant", "label", "epoch", "state"])
    .select((eb) => [
      eb.fn.countAll<number>().as("count"),
      eb.fn.min("created_at_ms").as("oldestAtMs"),
      eb.fn.max("created_at_ms").as("newestAtMs"),
    ])
    .groupBy(["purpose", "tenant", "label", "epoch", "state"])
    .orderBy("purpose")
    .orderBy("tenant")
    .orderBy("label")
    .orderBy("epoch")
    .orderBy("state")
    .limit(groupsMax);
  if (tenant !== undefined) query = query.where("tenant", "=", tenant);
  return await query.execute();
}
