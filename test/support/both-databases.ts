/**
 * An embedded database in a folder of its own and a PostgreSQL, for suites that ask the same of both. What is opened on
 * them is closed by who opened it.
 */
import type { SqlDialect } from "../../src/storage/dialect.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { createPostgresDialect } from "../../src/storage/postgres.ts";
import { createSqliteDialect } from "../../src/storage/sqlite.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { startPostgres } from "./postgres.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export type DatabaseKind = "sqlite" | "postgres";
export const databaseKinds: readonly DatabaseKind[] = ["sqlite", "postgres"];

export interface BothDatabases extends AsyncDisposable {
  /** Of the embedded one. */
  readonly dataDir: string;
  readonly postgresUrl: string;
  /** Brought up to date. */
  openStore(kind: DatabaseKind): Promise<Store>;
  /** Of a database that a store was opened on. */
  openDialect(kind: DatabaseKind): SqlDialect;
}

const patient = { log: silentLog, deadlineMs: 60_000 };

export async function startBothDatabases(name: string): Promise<BothDatabases> {
  await using stack = new AsyncDisposableStack();
  const dataDir = stack.use(temporaryFolder(name)).path;
  const postgresUrl = stack.use(await startPostgres()).url;
  const owned = stack.move();
  return {
    dataDir,
    postgresUrl,
    openStore(kind) {
      const place = kind === "sqlite" ? {} : { databaseUrl: postgresUrl };
      return openStore({ ...patient, ...place, dataDir, migrate: true });
    },
    openDialect: (kind) =>
      kind === "sqlite"
        ? createSqliteDialect({ ...patient, dataDir, isDirect: true })
        : createPostgresDialect({ ...patient, url: postgresUrl, connectionsMax: 2 }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
