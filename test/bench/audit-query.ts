/**
 * `bun test/bench/audit-query.ts [--rows N] [--only postgres|sqlite] [--json FILE]`: fills the audit copy with N records
 * (10,000,000 unless told) and times a page of 100 of every kind of search, newest first and oldest first, through the
 * store as QueryRecords uses it. The slowest of five goes is what counts. Needs about 3 GB of disk for each million.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { fillPostgres, fillSqlite, filtersToAsk } from "../support/many-records.ts";
import { startPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "10000000" },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const rows = Number(options.rows);
const goes = 5;
const targetMs = 100;
const untilMs = Date.now();
/** For filling the table quickly; the memory is that of a small server. */
const serverSettings = {
  shared_buffers: "1GB",
  maintenance_work_mem: "512MB",
  max_wal_size: "8GB",
};
const figures: Record<string, number> = {};
await using folder = temporaryFolder("audit-query");

async function measure(kind: "postgres" | "sqlite"): Promise<void> {
  if (options.only !== undefined && options.only !== kind) return;
  await using stack = new AsyncDisposableStack();
  const dataDir = join(folder.path, kind);
  mkdirSync(dataDir);
  const server = kind === "postgres" ? stack.use(await startPostgres(serverSettings)) : undefined;
  const location = server === undefined ? { dataDir } : { databaseUrl: server.url, dataDir };
  const open = () => openStore({ ...location, log: silentLog, deadlineMs: 60_000, migrate: true });
  await (await open()).close();
  const startMs = performance.now();
  if (server === undefined) fillSqlite(dataDir, rows, untilMs);
  else await fillPostgres(server.url, rows, untilMs);
  console.log(`${kind}: ${rows} records in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  const store = await open();
  for (const [name, filter] of Object.entries(filtersToAsk(untilMs))) {
    for (const order of ["descending", "ascending"] as const) {
      const took: number[] = [];
      let found = 0;
      let isMore = false;
      for (let go = 0; go < goes; go += 1) {
        const begunMs = performance.now();
        const page = await store.audit.scan({ filter, limit: 100, order, by: "time" });
        took.push(performance.now() - begunMs);
        found = page.rows.length;
        isMore = page.next !== undefined;
      }
      took.sort((a, b) => a - b);
      const slowest = took.at(-1) ?? 0;
      figures[`${kind}.${name}.${order}`] = slowest;
      console.log(
        `${kind.padEnd(8)} ${name.padEnd(36)} ${order.padEnd(10)} ${String(found).padStart(3)}${isMore ? "+" : " "}` +
          `  median ${(took[2] ?? 0).toFixed(1).padStart(6)} ms  slowest ${slowest.toFixed(1).padStart(6)} ms` +
          (slowest > targetMs ? "  OVER" : ""),
      );
    }
  }
  await store.close();
}

await measure("postgres");
await measure("sqlite");
const over = Object.values(figures).filter((ms) => ms > targetMs).length;
const passed = Object.keys(figures).length - over;
if (options.json !== undefined) {
  const notes = [`${rows} records, the slowest of ${goes} goes in ms`];
  await Bun.write(options.json, JSON.stringify({ figures, passed, failed: over, notes }, null, 2));
}
console.log(`\n${passed} passed, ${over} failed`);
process.exitCode = over === 0 ? 0 : 1;
