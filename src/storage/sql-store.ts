/**
 * The store over SQL: both halves, the lock, and the one place where database errors become `StoreError`.
 * `open-store.ts` calls it with a dialect.
 */
import { sql } from "kysely";
import type { SqlDialect } from "./dialect.ts";
import { createAuditStore } from "./sql-audit.ts";
import { createCheckpointStore } from "./sql-checkpoints.ts";
import { createAuditErasing } from "./sql-erasure.ts";
import { createGrantStore, createPassStore } from "./sql-grants.ts";
import { defaultSqlStoreLimits, type Guard, type SqlStoreLimits } from "./sql-part.ts";
import { createResourceStore } from "./sql-resources.ts";
import { createUseStore } from "./sql-uses.ts";
import type { Store } from "./store.ts";

/** A store on an open, migrated database. Closing it closes the dialect. */
export function createSqlStore(
  dialect: SqlDialect,
  limits: SqlStoreLimits = defaultSqlStoreLimits,
): Store {
  const guard: Guard = async (work) => {
    try {
      return await work();
    } catch (error) {
      throw dialect.toStoreError(error);
    }
  };
  let closing: Promise<void> | undefined;
  return {
    description: dialect.description,
    resources: createResourceStore(dialect, guard, limits),
    audit: {
      ...createAuditStore(dialect, guard, limits),
      ...createAuditErasing(dialect, guard, limits),
    },
    checkpoints: createCheckpointStore(dialect, guard),
    uses: createUseStore(dialect, guard, limits),
    grants: createGrantStore(dialect, guard),
    passes: createPassStore(dialect, guard),
    async exclusively(name, work) {
      const release = await guard(() => dialect.tryLock(name));
      if (release === undefined) return undefined;
      try {
        return await work();
      } finally {
        await release();
      }
    },
    async ping() {
      await guard(() => sql`select revision from state`.execute(dialect.db));
    },
    close() {
      closing ??= guard(() => dialect.close());
      return closing;
    },
  };
}
