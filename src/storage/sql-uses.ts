/**
 * When tokens and clients were last used, over SQL: one row a name, of which the latest time stays. Part of
 * `sql-store.ts`.
 */
import { sql } from "kysely";
import { chunksOf } from "./chunks.ts";
import type { SqlDialect } from "./dialect.ts";
import type { Guard, SqlStoreLimits } from "./sql-part.ts";
import type { UseStore } from "./store.ts";

export function createUseStore(
  dialect: SqlDialect,
  guard: Guard,
  limits: SqlStoreLimits,
): UseStore {
  const { db } = dialect;
  const rowsMax = limits.rowsPerStatementMax;
  return {
    note: (uses) =>
      guard(async () => {
        for (const chunk of chunksOf(uses, rowsMax)) {
          const rows = chunk.map(({ name, usedAtMs }) => ({ name, used_at_ms: usedAtMs }));
          await db
            .insertInto("last_uses")
            .values(rows)
            .onConflict((conflict) =>
              conflict
                .column("name")
                .doUpdateSet({ used_at_ms: sql<number>`excluded.used_at_ms` })
                .whereRef("excluded.used_at_ms", ">", "last_uses.used_at_ms"),
            )
            .execute();
        }
      }),
    read: (names) =>
      guard(async () => {
        const found: { name: string; used_at_ms: number }[] = [];
        for (const chunk of chunksOf(names, rowsMax)) {
          const query = db.selectFrom("last_uses").selectAll().where("name", "in", chunk);
          found.push(...(await query.execute()));
        }
        return found.map(({ name, used_at_ms }) => ({ name, usedAtMs: used_at_ms }));
      }),
    unused: (untilMs, limit, after) =>
      guard(async () => {
        const query = db
          .selectFrom("last_uses")
          .select("name")
          .where("used_at_ms", "<", untilMs)
          .where("name", ">", after)
          .orderBy("name")
          .limit(limit);
        return (await query.execute()).map(({ name }) => name);
      }),
    forget: (names) =>
      guard(async () => {
        for (const chunk of chunksOf(names, rowsMax)) {
          await db.deleteFrom("last_uses").where("name", "in", chunk).execute();
        }
      }),
  };
}
