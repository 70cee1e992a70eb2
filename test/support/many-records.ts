/**
 * Fills an audit copy with made-up records, as many as wanted, inside the database and without its indexes, which are
 * built afterwards: millions take minutes. Values are as real ones are: some that half of all records have, some that a
 * few have. One log, a year of records up to a given time. Asserts nothing.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { Client } from "pg";

/** Value by value what the filters of a bench or a test ask for. */
export const madeValues = {
  commonPrincipal: "principal-0",
  otherPrincipal: "principal-7",
  rareTool: "tool-rare",
  rareDecision: "rule:no-deletions",
} as const;

const yearMs = 365 * 24 * 60 * 60 * 1000;

/** The same expressions for both databases; `n` is the record's number, from 1. */
function columnsOf(rows: number, untilMs: number): readonly (readonly [string, string])[] {
  const stepMs = Math.max(1, Math.floor(yearMs / rows));
  const text = (length: number) => `'${"x".repeat(length)}'`;
  return [
    ["log", "1"],
    ["seq", "n"],
    ["leaf", `'leaf-' || n`],
    ["envelope", text(500)],
    ["details", text(300)],
    ["time_ms", `${untilMs - rows * stepMs} + n * ${stepMs}`],
    [
      "event",
      "case when n % 100000 = 5 then 'admin.change' when n % 2 = 0 then 'call.intent' else 'call.outcome' end",
    ],
    ["durability", "'A'"],
    ["principal", "case when n % 3 > 0 then 'principal-0' else 'principal-' || (n % 997) end"],
    ["client", "'client-' || (n % 50)"],
    ["tool", "case when n % 1000003 = 11 then 'tool-rare' else 'tool-' || (n % 200) end"],
    ["server", "'server-' || (n % 20)"],
    ["scope", "'server-' || (n % 20)"],
    ["method", "'tools/call'"],
    ["status", "case when n % 20 = 3 then 'denied' else 'success' end"],
    ["decision", "case when n % 100000 = 7 then 'rule:no-deletions' else 'role:caller' end"],
    ["session", "'session-' || (n / 50)"],
    ["correlation_id", "'correlation-' || n"],
    ["data_class", "case when n % 4 = 0 then 'CONFIDENTIAL' else 'INTERNAL' end"],
    ["tenant", "case when n % 3 = 0 then 'tenant-' || (n % 9) end"],
  ];
}

export async function fillPostgres(url: string, rows: number, untilMs: number): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: indexes } = await client.query<{ name: string; text: string }>(
      `select c.relname as name, pg_get_indexdef(c.oid) as text from pg_class c
       where c.relkind = 'I' and c.relname like 'audit_records_by_%'`,
    );
    for (const { name } of indexes) await client.query(`drop index ${name}`);
    const months = Array.from({ length: 14 }, (_, ago) => {
      const last = new Date(untilMs);
      return [1 - ago, 2 - ago].map((at) =>
        Date.UTC(last.getUTCFullYear(), last.getUTCMonth() + at),
      );
    });
    for (const [fromMs = 0, nextMs = 0] of months) {
      const name = `audit_records_${new Date(fromMs).toISOString().slice(0, 7).replace("-", "_")}`;
      await client.query(`create table if not exists ${name} partition of audit_records
        (primary key (log, seq)) for values from (${fromMs}) to (${nextMs})`);
    }
    await client.query("insert into audit_logs (log_id) values ('made')");
    const columns = columnsOf(rows, untilMs);
    await client.query(`insert into audit_records (${columns.map(([name]) => name).join(", ")})
      select ${columns.map(([, text]) => text).join(", ")} from generate_series(1::bigint, ${rows}) n`);
    for (const { text } of indexes) await client.query(text.replace(" ON ONLY ", " ON "));
    await client.query("vacuum analyze audit_records");
  } finally {
    await client.end();
  }
}

export function fillSqlite(dataDir: string, rows: number, untilMs: number): void {
  const db = new Database(join(dataDir, "gateway.sqlite"));
  try {
    db.run("pragma synchronous = off");
    const indexes = db
      .query<{ name: string; sql: string }, []>(
        "select name, sql from sqlite_master where type = 'index' and name like 'audit_records_by_%'",
      )
      .all();
    for (const { name } of indexes) db.run(`drop index ${name}`);
    db.run("insert into audit_logs (log_id) values ('made')");
    const columns = columnsOf(rows, untilMs);
    db.run(`with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${rows})
      insert into audit_records (${columns.map(([name]) => name).join(", ")})
      select ${columns.map(([, text]) => text).join(", ")} from numbers`);
    for (const { sql } of indexes) db.run(sql);
  } finally {
    db.close();
  }
}

const hourMs = 60 * 60 * 1000;

/** Filters of every kind, with and without time, for values that many, few and no records have. */
export function filtersToAsk(untilMs: number) {
  const { commonPrincipal, otherPrincipal, rareTool, rareDecision } = madeValues;
  const nowhere = "nowhere";
  return {
    everything: {},
    principal: { principal: otherPrincipal },
    "principal of most": { principal: commonPrincipal },
    "principal, two tokens": { principal: [otherPrincipal, nowhere] },
    "principal of nobody": { principal: nowhere },
    client: { client: "client-7" },
    tool: { tool: "tool-7" },
    "tool, rare": { tool: rareTool },
    server: { server: "server-3" },
    scope: { scope: "server-3" },
    "scope of none": { scope: nowhere },
    status: { status: "denied" },
    "status of most": { status: "success" },
    "status of none": { status: nowhere },
    decision: { decision: "role:caller" },
    "decision, rare": { decision: rareDecision },
    "decision of none": { decision: nowhere },
    session: { session: "session-77" },
    "correlation id": { correlationId: "correlation-4711" },
    "data class": { dataClass: "CONFIDENTIAL" },
    "data class of none": { dataClass: nowhere },
    tenant: { tenant: "tenant-3" },
    event: { event: "admin.change" },
    "event of most": { event: "call.outcome" },
    "an hour long ago": { fromMs: untilMs - 4000 * hourMs, untilMs: untilMs - 3999 * hourMs },
    "a month long ago": { fromMs: untilMs - 4000 * hourMs, untilMs: untilMs - 3280 * hourMs },
    "before it all": { untilMs: untilMs - 2 * yearMs },
    "principal of most, an hour long ago": {
      principal: commonPrincipal,
      fromMs: untilMs - 4000 * hourMs,
      untilMs: untilMs - 3999 * hourMs,
    },
    "common and rare": { principal: commonPrincipal, decision: rareDecision },
    "rare and common": { tool: rareTool, status: "success", event: "call.outcome" },
    "common and common": { principal: commonPrincipal, tool: "tool-7", status: "denied" },
    "common and common, never together": { server: "server-3", tool: "tool-7" },
    "common and none": { principal: commonPrincipal, session: nowhere },
  } as const;
}
