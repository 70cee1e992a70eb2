/**
 * The database as a witness: its table only grows, whoever asks, and a checkpoint goes in only where it extends the last
 * one (ST-22); in a database of another trust domain the gateway's role can do nothing else.
 */
import { Database } from "bun:sqlite";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { createDatabaseWitness } from "../../src/audit/witness/database-witness.ts";
import { WitnessConflict } from "../../src/audit/witness/witness.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { CheckpointStore } from "../../src/storage/store.ts";
import { openWitnessDatabase } from "../../src/storage/witness-database.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { createSampleTree, sampleLogId } from "../support/sample-tree.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let databases = 0;
async function newDatabase(): Promise<string> {
  databases += 1;
  await query(postgres.url, `create database checkpoints_${databases}`);
  return postgres.url.replace(/\/postgres$/, `/checkpoints_${databases}`);
}

async function query(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

interface Opened {
  readonly checkpoints: CheckpointStore;
  sql(text: string): Promise<void>;
}

async function open(kind: "sqlite" | "postgres"): Promise<Opened> {
  const folder = temporaryFolder();
  cleanups.push(() => folder[Symbol.asyncDispose]());
  const databaseUrl = kind === "postgres" ? await newDatabase() : undefined;
  const store = await openStore({
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...{ dataDir: folder.path, log: silentLog, migrate: true, deadlineMs: 30_000 },
  });
  cleanups.push(() => store.close());
  const sql = async (text: string): Promise<void> => {
    if (databaseUrl !== undefined) return await query(databaseUrl, text);
    using database = new Database(join(folder.path, "gateway.sqlite"));
    database.run(text);
  };
  return { checkpoints: store.checkpoints, sql };
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
const checkpoint = (size: number, root = "ab") => ({
  ...{ logId: sampleLogId, size, root: root.repeat(32), note: `note ${size}` },
});

describe.each(["sqlite", "postgres"] as const)("on %s", (kind) => {
  test("the largest one is found, of each log", async () => {
    const { checkpoints } = await open(kind);
    expect(await checkpoints.last(sampleLogId)).toBeUndefined();
    await checkpoints.add(checkpoint(5), 1);
    await checkpoints.add(checkpoint(900), 2);
    await checkpoints.add({ ...checkpoint(7), logId: "another" }, 3);
    expect(await checkpoints.last(sampleLogId)).toEqual(checkpoint(900));
  });

  test.each([
    ["one of the same size", "insert into audit_checkpoints values ('l', 5, 'x', 'n', 1)"],
    ["a smaller one", "insert into audit_checkpoints values ('l', 4, 'x', 'n', 1)"],
    ["an update", "update audit_checkpoints set root = 'x'"],
    ["a deletion", "delete from audit_checkpoints"],
    ["a deletion of one", "delete from audit_checkpoints where size = 5"],
  ])("the table refuses %s, even of its owner", async (_what, text) => {
    const { checkpoints, sql } = await open(kind);
    await checkpoints.add({ ...checkpoint(5), logId: "l" }, 1);
    expect(String(await failureOf(sql(text)))).toMatch(/only grows/);
    expect(await checkpoints.last("l")).toMatchObject({ size: 5, root: "ab".repeat(32) });
  });

  test("ST-22: as a witness it remembers what extends the last, and nothing else", async () => {
    const { checkpoints } = await open(kind);
    const log = createSampleTree();
    const witness = createDatabaseWitness(checkpoints, systemClock);
    for (const size of [3, 3, 8, 300]) await witness.witness(log.at(size));
    expect(await checkpoints.last(sampleLogId)).toMatchObject({
      size: 300,
      root: Buffer.from(log.at(300).root).toString("hex"),
      note: log.at(300).note,
    });
    const fork = createSampleTree("fork", 100, log.key);
    for (const other of [fork.at(300), fork.at(400), log.at(299)]) {
      const error = await failureOf(witness.witness(other));
      expect(error).toBeInstanceOf(WitnessConflict);
      expect(error).toMatchObject({ witnessedSize: 300 });
    }
    expect(await checkpoints.last(sampleLogId)).toMatchObject({ size: 300 });
  });
});

test("PostgreSQL refuses to truncate the table as well", async () => {
  const { checkpoints, sql } = await open("postgres");
  await checkpoints.add(checkpoint(5), 1);
  expect(String(await failureOf(sql("truncate audit_checkpoints")))).toMatch(/only grows/);
});

test("deploy/witness-database.sql: the gateway's role inserts and selects, and can do nothing else", async () => {
  const owner = await newDatabase();
  const script = readFileSync(join(import.meta.dir, "../../deploy/witness-database.sql"), "utf8");
  await query(owner, script.replace(":password", "'only-for-this-test'"));
  const url = new URL(owner);
  url.username = "mcp_gateway_witness";
  url.password = "only-for-this-test";
  const store = openWitnessDatabase({ url: url.href, deadlineMs: 30_000, log: silentLog });
  cleanups.push(() => store.close());
  const log = createSampleTree();
  const witness = createDatabaseWitness(store, systemClock);
  await witness.witness(log.at(4));
  await witness.witness(log.at(9));
  expect(await store.last(sampleLogId)).toMatchObject({ size: 9 });
  for (const text of [
    "update audit_checkpoints set root = 'x'",
    "delete from audit_checkpoints",
    "truncate audit_checkpoints",
    "drop table audit_checkpoints",
    "alter table audit_checkpoints disable trigger all",
    "create or replace function audit_checkpoints_grows() returns trigger language plpgsql as $$ begin return new; end $$",
    "create table mine (x int)",
  ]) {
    expect(String(await failureOf(query(url.href, text)))).toMatch(
      /permission denied|must be owner/,
    );
  }
});
