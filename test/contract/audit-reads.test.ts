/**
 * What a running gateway asks of its copy in PostgreSQL again and again reads what it needs and no more, however many rows
 * there are and whatever the planner believes of them: otherwise copying, verifying and sweeping would grow with the
 * square of the records.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import { openStore } from "../../src/storage/open-store.ts";
import type { AuditStore } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { auditRow } from "../support/audit-row.ts";
import { fillPostgres } from "../support/many-records.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { countRead, forgetStatistics, stopLooking } from "../support/rows-read.ts";

setDefaultTimeout(120_000);

const tables = "audit_records%";
const rows = 100_000;
const asked = 100;
const untilMs = Date.UTC(2026, 10, 15);
/** For each row that is asked for its own, an index entry and its row; and a look into each of fifteen months. */
const readMax = 10 * asked;

const logId = "made";
const numbers = Array.from({ length: asked }, (_, at) => at + 1);
/** Rows behind all others. */
const added = (round: number) =>
  numbers.map((at) =>
    auditRow(rows + round * asked + at, { logId, timeMs: untilMs + round * asked + at }),
  );
const places = (from: number) => numbers.map((at) => ({ logId, seq: from + at }));
const page = { filter: {}, limit: asked, by: "place" } as const;

type Work = (audit: AuditStore, round: number) => Promise<unknown>;
const works: Readonly<Record<string, Work>> = {
  "the last record": (audit) => audit.head(logId),
  "a batch that is copied": (audit, round) => audit.append(added(round)),
  "the same batch, copied again": (audit, round) => audit.append(added(round)),
  "rows put back": (audit, round) => audit.replace(added(round)),
  "the first page": (audit) => audit.scan({ ...page, order: "ascending" }),
  "a page in the middle": (audit) =>
    audit.scan({ ...page, order: "ascending", after: { logId, seq: rows / 2 } }),
  "a page backwards": (audit) =>
    audit.scan({ ...page, order: "descending", after: { logId, seq: rows / 2 } }),
  "rows to be swept": (audit) =>
    audit.sealed({
      keys: ["k".repeat(16)],
      of: "subject",
      principals: ["principal-7"],
      limit: asked,
    }),
  "rows that are too old": (audit) =>
    audit.prunable({ filter: { untilMs }, exclude: [], limit: asked }),
  "rows emptied by erasure": (audit, round) => audit.erase(places(2_000 * (round + 1))),
  "rows emptied by retention": (audit, round) => audit.prune(places(10_000 * (round + 1))),
};

let postgres: TestPostgres;
let client: Client;
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
beforeAll(async () => {
  postgres = stack.use(await startPostgres());
  await (await open()).close();
  await fillPostgres(postgres.url, rows, untilMs);
  client = new Client({ connectionString: postgres.url });
  await client.connect();
  stack.defer(() => client.end());
  await stopLooking(client);
});

async function open() {
  const place = { databaseUrl: postgres.url, dataDir: "/nonexistent" };
  return await openStore({ ...place, log: silentLog, deadlineMs: 60_000, migrate: true });
}

describe.each([
  ["with statistics", 0],
  ["without", 1],
])("%s", (_, round) => {
  beforeAll(async () => {
    // As a month's table is until the server first looks at it.
    if (round === 1) await forgetStatistics(client, tables);
  });

  test.each(Object.entries(works))("%s", async (_name, work) => {
    const before = await countRead(client, tables);
    const store = await open();
    await work(store.audit, round);
    await store.close();
    const read = (await countRead(client, tables)) - before;
    expect(read).toBeLessThanOrEqual(readMax);
  });
});
