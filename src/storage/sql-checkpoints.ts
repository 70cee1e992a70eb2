/**
 * Witnessed checkpoints over SQL: the newest of a log, and one more. That none is changed, removed or overtaken is the
 * table's own doing (`migration-checkpoints.ts`). Part of `sql-store.ts`; alone in `witness-database.ts`.
 */
import type { SqlDialect } from "./dialect.ts";
import type { Guard } from "./sql-part.ts";
import type { CheckpointStore } from "./store.ts";

export function createCheckpointStore({ db }: SqlDialect, guard: Guard): CheckpointStore {
  return {
    last: (logId) =>
      guard(async () => {
        const found = await db
          .selectFrom("audit_checkpoints")
          .select(["size", "root", "note"])
          .where("log_id", "=", logId)
          .orderBy("size", "desc")
          .limit(1)
          .executeTakeFirst();
        return found && { logId, ...found };
      }),
    add: ({ logId, size, root, note }, nowMs) =>
      guard(async () => {
        await db
          .insertInto("audit_checkpoints")
          .values({ log_id: logId, size, root, note, stored_at_ms: nowMs })
          .execute();
      }),
  };
}
