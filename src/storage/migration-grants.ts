/** The schema's step to users' grants at servers, and to the steps by which they are given. Called by `migrations.ts`. */
import { sql, type Transaction } from "kysely";
import type { Tables } from "./schema.ts";

export async function addGrants(
  db: Transaction<Tables>,
  { textType }: { readonly textType: string },
): Promise<void> {
  const text = sql.raw(textType);
  await db.schema
    .createTable("user_grants")
    .addColumn("id", text, (column) => column.primaryKey())
    .addColumn("tenant", text)
    .addColumn("server", text, (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("updated_at_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("browser_passes")
    .addColumn("id", text, (column) => column.primaryKey())
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("until_ms", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex("browser_passes_by_time")
    .on("browser_passes")
    .column("until_ms")
    .execute();
}
