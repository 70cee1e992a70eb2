/**
 * Schema version 2: a resource's key is kind, tenant and name, and audit rows are searched by tenant. The table of
 * resources is made anew, because SQLite cannot change a primary key; PostgreSQL goes the same way, so that one
 * statement of the steps holds for both. Called by `migrations.ts`.
 */
import { sql, type Transaction } from "kysely";
import { inIndex } from "./audit-index.ts";
import type { ColumnTypes } from "./dialect.ts";
import type { Tables } from "./schema.ts";

/** Kinds whose names are unique within a tenant. A copy of what held at version 2: history does not change. */
const tenantKinds = ["role", "binding", "rule"];

export async function addTenants(db: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  const text = sql.raw(types.textType);
  await db.schema
    .createTable("resources_by_tenant")
    .addColumn("kind", text, (column) => column.notNull())
    .addColumn("tenant", text, (column) => column.notNull())
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("created_at_ms", "bigint", (column) => column.notNull())
    .addColumn("updated_at_ms", "bigint", (column) => column.notNull())
    .addColumn("state_revision", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("resources_by_tenant_key", ["kind", "tenant", "name"])
    .execute();
  await sql`
    insert into resources_by_tenant
      (kind, tenant, name, body, created_at_ms, updated_at_ms, state_revision)
    select kind, '', name, body, created_at_ms, updated_at_ms, state_revision from resources
  `.execute(db);
  await db.schema.dropTable("resources").execute();
  await sql`alter table resources_by_tenant rename to resources`.execute(db);
  await moveIntoTenants(db);
  await db.schema.alterTable("audit_records").addColumn("tenant", text).execute();
  await db.schema
    .createIndex("audit_records_by_tenant")
    .on("audit_records")
    .columns(["tenant", "log", "seq"])
    .where(inIndex("tenant"))
    .execute();
}

/** Bodies could name a tenant before keys could; a body that cannot be read stays, for `load` to complain of. */
async function moveIntoTenants(db: Transaction<Tables>): Promise<void> {
  const rows = await db
    .selectFrom("resources")
    .select(["kind", "name", "body"])
    .where("kind", "in", tenantKinds)
    .where("body", "like", '%"tenant"%')
    .execute();
  for (const { kind, name, body } of rows) {
    const tenant = readTenant(body);
    if (tenant === undefined) continue;
    await db
      .updateTable("resources")
      .set({ tenant })
      .where("kind", "=", kind)
      .where("tenant", "=", "")
      .where("name", "=", name)
      .execute();
  }
}

function readTenant(body: string): string | undefined {
  try {
    const { tenant } = JSON.parse(body) as { readonly tenant?: unknown };
    return typeof tenant === "string" ? tenant : undefined;
  } catch {
    return undefined;
  }
}
