/**
 * The audit copy in a real PostgreSQL, by month: rows lie in the month they are of, the next months are ready, odd
 * times find a place, each number of a log is there once whatever month it is of, and what was there before moves in.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import { openStore } from "../../src/storage/open-store.ts";
import { type Store, StoreError } from "../../src/storage/store.ts";
import { type Log, silentLog } from "../../src/telemetry/log.ts";
import { auditRow as row } from "../support/audit-row.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { schemaVersion1 } from "../support/schema-v1.ts";

setDefaultTimeout(60_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

const dayMs = 24 * 60 * 60 * 1000;
const monthName = (timeMs: number) =>
  `audit_records_${new Date(timeMs).toISOString().slice(0, 7).replace("-", "_")}`;

let databases = 0;
async function openDatabase(log: Log = silentLog, before: readonly string[] = []) {
  databases += 1;
  const name = `months_${databases}`;
  await query(postgres.url, `create database ${name}`);
  const url = postgres.url.replace(/\/postgres$/, `/${name}`);
  for (const text of before) await query(url, text);
  const open = () =>
    openStore({
      databaseUrl: url,
      dataDir: "/nonexistent",
      log,
      deadlineMs: 30_000,
      migrate: true,
    });
  const store = await open();
  return { store, open, run: (text: string) => query(url, text) };
}

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const placesQuery =
  "select tableoid::regclass::text as place, seq::int from audit_records order by seq";

async function corruption(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StoreError)) throw new Error(`expected a StoreError, got ${error}`);
  expect(error.kind).toBe("corrupt");
  return error.message;
}

async function seqsOf(store: Store): Promise<readonly number[]> {
  const query = { filter: {}, limit: 100, order: "ascending" } as const;
  return (await store.audit.scan(query)).rows.map(({ seq }) => seq);
}

test("a row lies in its month, the next two are there before they begin, and odd times lie apart", async () => {
  const { store, run } = await openDatabase();
  const nowMs = Date.now();
  const oldMs = Date.UTC(2025, 5, 15);
  await store.audit.append([
    row(1, { timeMs: nowMs }),
    row(2, { timeMs: oldMs }),
    row(3, { timeMs: 17 }),
    row(4, { timeMs: Date.UTC(2199, 1) }),
  ]);
  await store.audit.append([row(5, { timeMs: oldMs })]);
  expect(await run(placesQuery)).toEqual([
    { place: monthName(nowMs), seq: 1 },
    { place: monthName(oldMs), seq: 2 },
    { place: "audit_records_other", seq: 3 },
    { place: "audit_records_other", seq: 4 },
    { place: monthName(oldMs), seq: 5 },
  ]);
  const there = await run(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_records'::regclass",
  );
  const names = there.map(({ name }) => name);
  const first = new Date(nowMs);
  for (const ahead of [0, 1, 2]) {
    expect(names).toContain(
      monthName(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + ahead, 1)),
    );
  }
  expect(await seqsOf(store)).toEqual([1, 2, 3, 4, 5]);
  await store.close();
});

test("a month whose rows came first moves out of the odd ones, once it can be made", async () => {
  const { store, open, run } = await openDatabase();
  const oldMs = Date.UTC(2025, 5, 15);
  await run(`create table ${monthName(oldMs)} (in_the_way int)`);
  await store.audit.append([row(1, { timeMs: 17 }), row(2, { timeMs: oldMs })]);
  await store.close();
  await run(`drop table ${monthName(oldMs)}`);
  const again = await open();
  await again.audit.append([row(3, { timeMs: oldMs }), row(4, { timeMs: Date.now() })]);
  expect(await run(placesQuery)).toEqual([
    { place: "audit_records_other", seq: 1 },
    { place: monthName(oldMs), seq: 2 },
    { place: monthName(oldMs), seq: 3 },
    { place: monthName(Date.now()), seq: 4 },
  ]);
  await again.close();
});

test("a month that cannot be made is said once, and its rows are taken all the same", async () => {
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (event) => void said.push(event) };
  const { store, run } = await openDatabase(log);
  const oldMs = Date.UTC(2025, 5, 15);
  await run(`create table ${monthName(oldMs)} (in_the_way int)`);
  for (const seq of [1, 2, 3]) await store.audit.append([row(seq, { timeMs: oldMs })]);
  expect(said.filter((event) => event === "storage.partition_missing")).toHaveLength(1);
  expect((await run(placesQuery)).map(({ place }) => place)).toEqual(
    Array(3).fill("audit_records_other"),
  );
  await store.close();
});

test("ST-03 a number is there once whatever month: a forged row in another one is a fork", async () => {
  const { store, run } = await openDatabase();
  const nowMs = Date.now();
  await store.audit.append([row(1, { timeMs: nowMs })]);
  const elsewhere = row(2, { timeMs: nowMs - 62 * dayMs, leaf: "forged" });
  await store.audit.append([elsewhere]);
  const message = await corruption(store.audit.append([row(2, { timeMs: nowMs })]));
  expect(message).toContain("forks at record 2: the database holds leaf forged, the log leaf-2");
  // The same leaf under another time is the same record: the leaf is over the time as well.
  await store.audit.append([row(1, { timeMs: nowMs - 62 * dayMs })]);
  expect(await seqsOf(store)).toEqual([1, 2]);
  // Past the program's own eyes only by hand; who scans is then shown both, on one page.
  await run(
    `insert into audit_records select * from audit_records where seq = 1`.replace(
      "*",
      columnsButTime,
    ),
  );
  const page = await store.audit.scan({ filter: {}, limit: 1, order: "ascending" });
  expect(page.rows.map(({ seq }) => seq)).toEqual([1, 1]);
  expect(page.next).toMatchObject({ seq: 1 });
  const two = await store.audit.scan({ filter: {}, limit: 2, order: "descending" });
  expect(two.rows.map(({ seq }) => seq)).toEqual([2]);
  await store.close();
});

const columnsButTime = `log, seq, 'other', envelope, details, time_ms - ${62 * dayMs}, event, durability, principal, client, tool,
  server, scope, method, status, decision, session, correlation_id, data_class, tenant`;

test("ST-03 two writers of one log at once: each number once, and of two records of a number one is refused", async () => {
  const { store, open } = await openDatabase();
  const other = await open();
  const nowMs = Date.now();
  const batch = (leaf: string, timeMs: number) =>
    Array.from({ length: 200 }, (_, at) => row(at + 1, { timeMs, leaf: `${leaf}-${at}` }));
  const outcomes = await Promise.allSettled([
    store.audit.append(batch("one", nowMs)),
    other.audit.append(batch("other", nowMs - 62 * dayMs)),
  ]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(await seqsOf(store)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
  await Promise.all([store.close(), other.close()]);
});

test("rows of an earlier release's table move in, and the table is gone", async () => {
  const old = schemaVersion1("postgres").map((text) =>
    text.replace(/1001, 'call/, `${Date.UTC(2025, 5, 15)}, 'call`),
  );
  const { store, run } = await openDatabase(silentLog, old);
  expect(await run(placesQuery)).toEqual([
    { place: monthName(Date.UTC(2025, 5, 15)), seq: 1 },
    { place: "audit_records_other", seq: 2 },
  ]);
  expect(await run("select to_regclass('audit_records_whole') as old")).toEqual([{ old: null }]);
  await store.audit.append([row(1, { timeMs: Date.now(), leaf: "leaf-1" })]);
  await store.close();
});
