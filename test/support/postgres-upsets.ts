/**
 * What a database's own administrators do to a PostgreSQL that is running: switch it to read-only, lock tables, take
 * every connection. Used by the suites of outages.
 */
import { Client } from "pg";
import type { TestPostgres } from "./postgres.ts";

/** Connections that an outage consists of. */
const held: Client[] = [];

export async function letGo(): Promise<void> {
  for (const client of held.splice(0)) await client.end();
}

async function connect(postgres: TestPostgres): Promise<Client> {
  const client = new Client({ connectionString: postgres.url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

export async function runSql(postgres: TestPostgres, ...statements: string[]): Promise<void> {
  const client = await connect(postgres);
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Ends the gateway's connections; it may open others. */
export const endConnections =
  "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mcp-gateway'";

/** The gateway's own among them: the last that came is ended until no other gets in. */
export async function takeEveryConnection(postgres: TestPostgres): Promise<void> {
  const first = await connect(postgres);
  held.push(first);
  for (let refused = 0; refused < 3; ) {
    try {
      held.push(await connect(postgres));
      refused = 0;
    } catch {
      refused += 1;
      await first.query(endConnections);
    }
  }
}

/** Until `letGo`. */
export async function lockTable(postgres: TestPostgres, table: string): Promise<void> {
  const client = await connect(postgres);
  held.push(client);
  await client.query(`begin; lock table ${table} in access exclusive mode`);
}

/** Read-only for every connection there is and will be, as a failover to a replica makes it. */
export async function setReadOnly(postgres: TestPostgres, state: "on" | "off"): Promise<void> {
  await runSql(
    postgres,
    "set default_transaction_read_only = off",
    `alter system set default_transaction_read_only = ${state}`,
    "select pg_reload_conf()",
  );
}
