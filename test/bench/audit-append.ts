/**
 * `bun test/bench/audit-append.ts [--rows N]`: ways to get audit rows into PostgreSQL, through `pg`, into the real
 * table with all its indexes: one insert of many rows, unnest, jsonb_to_recordset, COPY. Prints rows a second by batch.
 * What it found is why `postgres-append.ts` does what it does.
 */
import { parseArgs } from "node:util";
import { Client } from "pg";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { startPostgres } from "../support/postgres.ts";
import { createRandom } from "../support/random.ts";
import { auditColumns, madeRow } from "./audit-rows.ts";

const { values: options } = parseArgs({ options: { rows: { type: "string", default: "100000" } } });
const rowsWanted = Number(options.rows);
type Row = readonly (string | number | null)[];
type Way = (client: Client, rows: readonly Row[]) => Promise<unknown>;

const columns = auditColumns.map(({ name }) => `"${name}"`).join(", ");
const insertInto = `insert into audit_records (${columns})`;

const ways: Readonly<Record<string, Way>> = {
  "multi-row": (client, rows) => {
    return inPieces(rows, 512, async (some) => {
      const width = auditColumns.length;
      const text = `${insertInto} values ${some
        .map((_, at) => `(${auditColumns.map((__, column) => `$${at * width + column + 1}`)})`)
        .join(",")} on conflict do nothing`;
      await client.query({ name: `values-${some.length}`, text, values: some.flat() });
    });
  },
  unnest: (client, rows) => {
    const arrays = auditColumns.map(({ type }, at) => `$${at + 1}::${type}[]`);
    return client.query({
      name: "unnest",
      text: `${insertInto} select * from unnest(${arrays}) on conflict do nothing`,
      values: auditColumns.map((_, at) => rows.map((row) => row[at])),
    });
  },
  jsonb: (client, rows) => {
    const shape = auditColumns.map(({ name, type }) => `"${name}" ${type}`);
    const objects = rows.map((row) =>
      Object.fromEntries(auditColumns.map(({ name }, at) => [name, row[at]])),
    );
    return client.query({
      name: "jsonb",
      text: `${insertInto} select * from jsonb_to_recordset($1::jsonb) as r(${shape}) on conflict do nothing`,
      values: [JSON.stringify(objects)],
    });
  },
  json: (client, rows) => {
    const shape = auditColumns.map(({ name, type }) => `"${name}" ${type}`);
    const objects = rows.map((row) =>
      Object.fromEntries(auditColumns.map(({ name }, at) => [name, row[at]])),
    );
    return client.query({
      name: "json",
      text: `${insertInto} select * from json_to_recordset($1::json) as r(${shape}) on conflict do nothing`,
      values: [JSON.stringify(objects)],
    });
  },
  copy: (client, rows) => copyIn(client, `copy audit_records (${columns}) from stdin`, rows),
};

async function inPieces(
  rows: readonly Row[],
  size: number,
  insert: (some: readonly Row[]) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < rows.length; at += size) await insert(rows.slice(at, at + size));
}

/** COPY in text format, by the protocol's own messages: `pg` has no function for it. */
function copyIn(client: Client, text: string, rows: readonly Row[]): Promise<void> {
  const lines = rows.map((row) => `${row.map(copyField).join("\t")}\n`).join("");
  return new Promise((resolve, reject) => {
    client.query({
      submit: (connection: any) => connection.query(text),
      handleCopyInResponse: (connection: any) => {
        connection.sendCopyFromChunk(Buffer.from(lines));
        connection.endCopyFrom();
      },
      handleCommandComplete: () => {},
      handleReadyForQuery: () => resolve(),
      handleError: (error: Error) => reject(error),
    } as any);
  });
}

function copyField(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "\\N";
  if (typeof value === "number") return String(value);
  return /[\\\n\r\t]/.test(value)
    ? value.replace(
        /[\\\n\r\t]/g,
        (one) => ({ "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" })[one] ?? one,
      )
    : value;
}

await using server = await startPostgres({ shared_buffers: "512MB" });
const store = await openStore({
  databaseUrl: server.url,
  dataDir: "/nonexistent",
  log: silentLog,
  deadlineMs: 60_000,
  migrate: true,
});
await store.close();
const random = createRandom(7);
const client = new Client({ connectionString: server.url });
await client.connect();
let seq = 0;
for (const batch of [256, 512, 1024, 2048]) {
  for (const [name, way] of Object.entries(ways)) {
    const batches: Row[][] = [];
    for (let made = 0; made < rowsWanted; made += batch) {
      batches.push(Array.from({ length: batch }, () => madeRow((seq += 1), Date.now(), random)));
    }
    await client.query("truncate audit_records");
    await client.query("checkpoint");
    const startMs = performance.now();
    for (const rows of batches) {
      await client.query("begin");
      await way(client, rows);
      await client.query("commit");
    }
    const seconds = (performance.now() - startMs) / 1000;
    console.log(
      `${name.padEnd(10)} ${String(batch).padStart(5)} a batch  ${((batches.length * batch) / seconds).toFixed(0).padStart(7)} rows/s`,
    );
  }
}
await client.end();
