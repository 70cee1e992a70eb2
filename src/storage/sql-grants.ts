/**
 * Users' grants at servers, and the steps by which they are given, over SQL. Who writes compares the version, so that two
 * nodes never write over each other; a step is taken by the one delete that finds it. Part of `sql-store.ts`.
 */
import type { SqlDialect } from "./dialect.ts";
import type { UserGrantsTable } from "./schema.ts";
import type { Guard } from "./sql-part.ts";
import type { GrantStore, PassStore, StoredGrant } from "./store.ts";

export function createGrantStore({ db }: SqlDialect, guard: Guard): GrantStore {
  return {
    read: (id) =>
      guard(async () => {
        const query = db.selectFrom("user_grants").selectAll().where("id", "=", id);
        const row = await query.executeTakeFirst();
        return row && toGrant(row);
      }),
    write: ({ id, tenant, server, body, version, updatedAtMs }) =>
      guard(async () => {
        if (version === 0) {
          const made = await db
            .insertInto("user_grants")
            .values({
              ...{ id, tenant: tenant ?? null, server, body },
              ...{ version: 1, updated_at_ms: updatedAtMs },
            })
            .onConflict((conflict) => conflict.column("id").doNothing())
            .returning("id")
            .execute();
          return made.length === 1;
        }
        const changed = await db
          .updateTable("user_grants")
          .set({ body, version: version + 1, updated_at_ms: updatedAtMs })
          .where("id", "=", id)
          .where("version", "=", version)
          .returning("id")
          .execute();
        return changed.length === 1;
      }),
    remove: (id, version) =>
      guard(async () => {
        let query = db.deleteFrom("user_grants").where("id", "=", id);
        if (version !== undefined) query = query.where("version", "=", version);
        return (await query.returning("id").execute()).length === 1;
      }),
    list: ({ tenant, server, after, limit }) =>
      guard(async () => {
        let query = db.selectFrom("user_grants").selectAll().orderBy("id").limit(limit);
        if (tenant !== undefined) query = query.where("tenant", "=", tenant);
        if (server !== undefined) query = query.where("server", "=", server);
        if (after !== undefined) query = query.where("id", ">", after);
        return (await query.execute()).map(toGrant);
      }),
  };
}

export function createPassStore({ db }: SqlDialect, guard: Guard): PassStore {
  return {
    put: ({ id, body, nowMs, untilMs }) =>
      guard(async () => {
        await db.deleteFrom("browser_passes").where("until_ms", "<=", nowMs).execute();
        await db.insertInto("browser_passes").values({ id, body, until_ms: untilMs }).execute();
      }),
    read: (id, nowMs) =>
      guard(async () => {
        const query = db.selectFrom("browser_passes").select("body").where("id", "=", id);
        return (await query.where("until_ms", ">", nowMs).executeTakeFirst())?.body;
      }),
    take: (id, nowMs) =>
      guard(async () => {
        const query = db.deleteFrom("browser_passes").where("id", "=", id);
        const [taken] = await query.where("until_ms", ">", nowMs).returning("body").execute();
        return taken?.body;
      }),
  };
}

function toGrant(row: UserGrantsTable): StoredGrant {
  const { id, tenant, server, body, version, updated_at_ms: updatedAtMs } = row;
  return { id, tenant: tenant ?? undefined, server, body, version, updatedAtMs };
}
