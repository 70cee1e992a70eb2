/** The schema's step to times of last use. Called by `migrations.ts`. */
import { sql, type Transaction } from "kysely";
import type { Tables } from "./schema.ts";

export async function addLastUses(
  db: Transaction<Tables>,
  { textType }: { readonly textType: string },
): Promise<void> {
  await db.schema
    .createTable("last_uses")
    .addColumn("name", sql.raw(textType), (column) => column.primaryKey())
    .addColumn("used_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("last_uses_by_time").on("last_uses").column("used_at_ms").execute();
}
