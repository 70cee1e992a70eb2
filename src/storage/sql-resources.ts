/**
 * Resources over SQL: loaded as of one revision, written all or nothing by compare-and-set on that revision.
 * Part of `sql-store.ts`.
 */
import type { Transaction } from "kysely";
import { createYielder } from "../lib/yielding.ts";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { ResourcesTable, Tables } from "./schema.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import {
  type ResourceChange,
  type ResourceKey,
  type ResourceStore,
  type StoredResource,
  StoreError,
} from "./store.ts";

export function createResourceStore(
  dialect: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
): ResourceStore {
  // The newest revision this process has seen whole; notices of it or of older ones are not news.
  let knownRevision = -1;
  const know = (stateRevision: number): void => {
    knownRevision = Math.max(knownRevision, stateRevision);
  };
  let writing: Promise<unknown> = Promise.resolve();
  return {
    async load() {
      const { stateRevision, rows } = await guard(() => readAll(dialect));
      know(stateRevision);
      return { stateRevision, resources: await toResources(rows) };
    },
    revision: () =>
      guard(async () => {
        const found = await dialect.db
          .selectFrom("state")
          .select("revision")
          .executeTakeFirstOrThrow();
        return found.revision;
      }),
    async write(changes, expectedRevision, nowMs) {
      const stateRevision = expectedRevision + 1;
      const write = guard(() =>
        dialect.db.transaction().execute(async (db) => {
          await advanceRevision(db, expectedRevision);
          await applyChanges(db, changes, { stateRevision, nowMs, limits });
          await dialect.announce(db, stateRevision);
        }),
      ).then(() => know(stateRevision));
      writing = Promise.allSettled([writing, write]);
      await write;
      return stateRevision;
    },
    watch: (changed) =>
      dialect.watch(async (stateRevision) => {
        // The notice of a write of one's own can overtake its commit's answer.
        await writing;
        if (stateRevision > knownRevision) changed(stateRevision);
      }),
  };
}

async function readAll(dialect: SqlDialect): Promise<{
  readonly stateRevision: number;
  readonly rows: readonly ResourcesTable[];
}> {
  return await dialect.db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (db) => {
      const { revision } = await db
        .selectFrom("state")
        .select("revision")
        .executeTakeFirstOrThrow();
      const rows = await db
        .selectFrom("resources")
        .selectAll()
        .orderBy("kind")
        .orderBy("name")
        .orderBy("tenant")
        .execute();
      return { stateRevision: revision, rows };
    });
}

async function toResources(rows: readonly ResourcesTable[]): Promise<readonly StoredResource[]> {
  const turn = createYielder();
  const resources: StoredResource[] = [];
  for (const row of rows) {
    await turn();
    resources.push({
      kind: row.kind,
      tenant: row.tenant === "" ? undefined : row.tenant,
      name: row.name,
      body: parseBody(row),
      createdAtMs: row.created_at_ms,
      updatedAtMs: row.updated_at_ms,
      stateRevision: row.state_revision,
    });
  }
  return resources;
}

function parseBody(row: ResourcesTable): unknown {
  try {
    return JSON.parse(row.body);
  } catch (cause) {
    throw new StoreError("corrupt", `the body of ${row.kind} "${row.name}" is not JSON`, { cause });
  }
}

/** The row lock this takes also makes concurrent writers wait, and then lose. */
async function advanceRevision(db: Transaction<Tables>, expectedRevision: number): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable("state")
    .set({ revision: expectedRevision + 1 })
    .where("revision", "=", expectedRevision)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 1n) return;
  throw new StoreError("conflict", `the state is no longer at revision ${expectedRevision}`);
}

async function applyChanges(
  db: Transaction<Tables>,
  changes: readonly ResourceChange[],
  write: {
    readonly stateRevision: number;
    readonly nowMs: number;
    readonly limits: SqlStoreLimits;
  },
): Promise<void> {
  // One statement may not touch a row twice; the last change to it is the one that counts.
  const last = new Map(
    changes.map((change) => {
      const { kind, tenant = "", name } = change;
      return [JSON.stringify([kind, tenant, name]), change];
    }),
  );
  const deletions: ResourceKey[] = [];
  const rows: ResourcesTable[] = [];
  for (const change of last.values()) {
    if ("delete" in change) deletions.push(change);
    else rows.push(toRow(change, write.stateRevision, write.nowMs));
  }
  for (const { kind, tenant = "", name } of deletions) {
    await db
      .deleteFrom("resources")
      .where("kind", "=", kind)
      .where("tenant", "=", tenant)
      .where("name", "=", name)
      .execute();
  }
  for (const batch of chunksOf(rows, write.limits.rowsPerStatementMax)) await upsert(db, batch);
}

function toRow(
  change: ResourceKey & { readonly body: unknown },
  stateRevision: number,
  nowMs: number,
): ResourcesTable {
  return {
    kind: change.kind,
    tenant: change.tenant ?? "",
    name: change.name,
    body: JSON.stringify(change.body) ?? "null",
    created_at_ms: nowMs,
    updated_at_ms: nowMs,
    state_revision: stateRevision,
  };
}

async function upsert(db: Transaction<Tables>, rows: readonly ResourcesTable[]): Promise<void> {
  await db
    .insertInto("resources")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["kind", "tenant", "name"]).doUpdateSet((eb) => ({
        body: eb.ref("excluded.body"),
        updated_at_ms: eb.ref("excluded.updated_at_ms"),
        state_revision: eb.ref("excluded.state_revision"),
      })),
    )
    .execute();
}
