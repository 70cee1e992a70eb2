/**
 * The schema's step to witnessed checkpoints: a table that only grows, in size and in rows, whatever the program asks for.
 * The same as `deploy/witness-database.sql`, which makes it in a database of its own. Called by `migrations.ts`.
 */
import { sql, type Transaction } from "kysely";
import type { SqlDialect } from "./dialect.ts";
import type { Tables } from "./schema.ts";

export async function addCheckpoints(
  db: Transaction<Tables>,
  { textType, description }: Pick<SqlDialect, "textType" | "description">,
): Promise<void> {
  const text = sql.raw(textType);
  await db.schema
    .createTable("audit_checkpoints")
    .addColumn("log_id", text, (column) => column.notNull())
    .addColumn("size", "bigint", (column) => column.notNull())
    .addColumn("root", text, (column) => column.notNull())
    .addColumn("note", text, (column) => column.notNull())
    .addColumn("stored_at_ms", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("audit_checkpoints_key", ["log_id", "size"])
    .execute();
  for (const trigger of triggers[description.kind]) await sql.raw(trigger).execute(db);
}

const triggers: Readonly<Record<SqlDialect["description"]["kind"], readonly string[]>> = {
  postgres: [
    `create function audit_checkpoints_grows() returns trigger language plpgsql as $$
     begin
       if tg_op <> 'INSERT' then
         raise exception 'audit_checkpoints only grows: % is refused', tg_op;
       end if;
       if exists (select from audit_checkpoints where log_id = new.log_id and size >= new.size) then
         raise exception 'audit_checkpoints only grows: log % has a checkpoint of size % or more',
           new.log_id, new.size;
       end if;
       return new;
     end $$`,
    `create trigger audit_checkpoints_insert before insert on audit_checkpoints
     for each row execute function audit_checkpoints_grows()`,
    `create trigger audit_checkpoints_keep before update or delete or truncate on audit_checkpoints
     for each statement execute function audit_checkpoints_grows()`,
  ],
  sqlite: [
    `create trigger audit_checkpoints_insert before insert on audit_checkpoints
     when exists (select 1 from audit_checkpoints where log_id = new.log_id and size >= new.size)
     begin select raise(abort, 'audit_checkpoints only grows'); end`,
    `create trigger audit_checkpoints_update before update on audit_checkpoints
     begin select raise(abort, 'audit_checkpoints only grows'); end`,
    `create trigger audit_checkpoints_delete before delete on audit_checkpoints
     begin select raise(abort, 'audit_checkpoints only grows'); end`,
  ],
};
