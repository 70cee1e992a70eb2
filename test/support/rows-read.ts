/**
 * What PostgreSQL itself counts of the rows that were read, of the tables whose names are like a pattern; and tables made
 * as they are until the server first looks at them. Asserts nothing.
 */
import type { Client } from "pg";
import { until } from "./deadline.ts";

/** Rows and index entries read by those who were there: each tells what it read as it goes, so they are waited for. */
export async function countRead(client: Client, tables: string): Promise<number> {
  await until("the others gone", async () => {
    const { rowCount } = await client.query(
      "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
    return rowCount === 0;
  });
  const { rows } = await client.query<{ read: string }>(
    `select (select sum(seq_tup_read) from pg_stat_user_tables where relname like $1)
      + (select sum(idx_tup_read) from pg_stat_user_indexes where relname like $1) as read`,
    [tables],
  );
  return Number(rows[0]?.read);
}

/** Otherwise the server would look at the tables in the middle of it. */
export async function stopLooking(client: Client): Promise<void> {
  await client.query("alter system set autovacuum = off");
  await client.query("select pg_reload_conf()");
}

export async function forgetStatistics(client: Client, tables: string): Promise<void> {
  const named = "(select oid from pg_class where relname like $1)";
  await client.query(`delete from pg_statistic where starelid in ${named}`, [tables]);
  const unknown = "set reltuples = -1, relpages = 0";
  await client.query(`update pg_class ${unknown} where oid in ${named}`, [tables]);
}
