/**
 * The monitor on a real spool, a real tree and real databases: whatever a database's administrator or a disk changes is
 * found, named, put on record and healed where another copy is sound (ST-06, ST-14).
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
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { evidenceFolder } from "../../src/audit/evidence/checkpoint-file.ts";
import { type OpenAuditLog, openAuditLog } from "../../src/audit/log.ts";
import type { FindingRange } from "../../src/audit/monitor/finding.ts";
import type { Healed } from "../../src/audit/monitor/heal.ts";
import { startMonitor } from "../../src/audit/monitor/monitor.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { verifySpool, verifyStore } from "../../src/audit/verify/verify.ts";
import { readOwnTree } from "../../src/audit/witness/own-tree.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { digestLeaves, renderSeqs } from "../../src/lib/seqs.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "../support/deadline.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { openMemoryVault } from "../support/sealing.ts";

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

interface Opened {
  readonly dataDir: string;
  readonly store: Store;
  readonly log: OpenAuditLog;
  /** Runs SQL as the database's administrator. */
  sql(text: string): Promise<void>;
}

let databases = 0;
const quick = { lingerMs: 1, tellMs: 5, signAfterMs: 20 };

async function openLog(kind: "sqlite" | "postgres", segmentBytesMax?: number): Promise<Opened> {
  const dataDir = mkdtempSync(join(tmpdir(), "mcp-gateway-monitor-"));
  cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
  let databaseUrl: string | undefined;
  if (kind === "postgres") {
    databases += 1;
    const name = `monitor_${databases}`;
    await runPostgres(postgres.url, `create database ${name}`);
    databaseUrl = postgres.url.replace(/\/postgres$/, `/${name}`);
  }
  const store = await openStore({
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...{ dataDir, log: silentLog, migrate: true, deadlineMs: 30_000 },
  });
  cleanups.push(() => store.close());
  const log = await openAuditLog({
    ...{ dataDir, store, clock: systemClock, log: silentLog, metrics: createMetrics() },
    keys: await openMemoryVault(),
    life: { version: "test" },
    // Signed at once: with the defaults each test here would first wait for a second.
    options: { ...quick, ...(segmentBytesMax === undefined ? {} : { segmentBytesMax }) },
  });
  cleanups.push(() => log.close());
  const sql = async (text: string): Promise<void> => {
    if (databaseUrl !== undefined) return await runPostgres(databaseUrl, text);
    const database = new Database(join(dataDir, "gateway.sqlite"));
    database.run("pragma busy_timeout = 5000");
    database.run(text);
    database.close();
  };
  return { dataDir, store, log, sql };
}

async function runPostgres(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(text);
  await client.end();
}

/** Appends until the log has so many records, all of them signed and in the database. */
async function fill({ log, dataDir }: Opened, count: number): Promise<void> {
  for (let seq = log.status().syncedSeq + 1; seq <= count; seq += 1) {
    await log.append(
      {
        event: "call.outcome",
        class: "A",
        timeMs: systemClock.nowMs(),
        facts: { server: "calc", tool: `tool-${seq}`, status: "success" },
        details: { principal: "alice@example.com" },
      },
      "synced",
    );
  }
  await until("all is shipped", () => log.status().shippedSeq >= count);
  await until("all is signed", () => (openTree({ log, dataDir })?.size ?? 0) >= count);
}

function openTree({ log, dataDir }: Pick<Opened, "log" | "dataDir">) {
  const { logId } = log.status();
  return readOwnTree({ dataDir, evidenceDir: evidenceFolder(dataDir), logId });
}

function watch(opened: Opened) {
  const { dataDir, log, store } = opened;
  const found: FindingRange[] = [];
  const healed: Healed[] = [];
  const failures: string[] = [];
  const { logId, syncedSeq, shippedSeq } = log.status();
  const monitor = startMonitor({
    logId,
    spoolDir: join(dataDir, "spool"),
    store: store.audit,
    openTree: () => openTree(opened),
    clock: systemClock,
    options: { recordsPerSecond: 1_000_000, lapMinMs: 20, secondLookMs: 5 },
    found: (range) => found.push(range),
    healed: (what) => healed.push(what),
    failed: (reason) => failures.push(reason),
  });
  cleanups.push(() => monitor.stop());
  monitor.advance({ syncedSeq, shippedSeq });
  return { monitor, found, healed, failures };
}

describe.each(["sqlite", "postgres"] as const)("ST-06 on %s", (kind) => {
  test("a sound log is found sound, lap after lap", async () => {
    const opened = await openLog(kind);
    await fill(opened, 40);
    const { monitor, found, failures } = watch(opened);
    await until("three laps", () => monitor.laps() >= 3);
    expect({ found, failures, open: monitor.open() }).toEqual({
      found: [],
      failures: [],
      open: { database: 0, spool: 0, tree: 0 },
    });
  });

  test.each([
    [
      "an edited record",
      "edited",
      "update audit_records set envelope = replace(envelope, 'calc', 'hack') where seq = 7",
    ],
    [
      "an edited record with a leaf to match",
      "edited",
      "update audit_records set leaf = repeat('ab', 32) where seq = 7".replace(
        "repeat('ab', 32)",
        `'${"ab".repeat(32)}'`,
      ),
    ],
    ["an edited column", "edited", "update audit_records set tool = 'other' where seq = 7"],
    [
      "an edited sealed part",
      "edited",
      "update audit_records set details = replace(details, 'a', 'b') where seq = 7",
    ],
    ["a deleted record", "deleted", "delete from audit_records where seq = 7"],
    [
      "a sealed part that was removed",
      "deleted",
      "update audit_records set details = null, principal = null, client = null, session = null where seq = 7",
    ],
    [
      "a record made to look pruned",
      "deleted",
      "update audit_records set envelope = null, details = null where seq = 7",
    ],
  ])("%s is found and put back from the spool", async (_what, wrong, text) => {
    const opened = await openLog(kind);
    await fill(opened, 12);
    const { monitor, found, healed } = watch(opened);
    await until("a first lap", () => monitor.laps() >= 1);
    await opened.sql(text);
    await until("it is healed", () => healed.length > 0);
    expect(found).toEqual([{ place: "database", kind: wrong as "edited", from: 7, to: 7 }]);
    expect(healed).toEqual([{ place: "database", from: 7, to: 7, count: 1 }]);
    await until("it is no alarm any more", () => monitor.open().database === 0);
    const { logId } = opened.log.status();
    expect(await verifyStore(opened.store.audit, logId)).toMatchObject({ ok: true });
  });

  test("a truncated table is found as one range, and put back", async () => {
    const opened = await openLog(kind);
    await fill(opened, 30);
    const { monitor, found, healed } = watch(opened);
    await opened.sql("delete from audit_records");
    await until("it is healed", () => healed.length > 0);
    expect(found).toEqual([{ place: "database", kind: "deleted", from: 1, to: 30 }]);
    await until("it is no alarm any more", () => monitor.open().database === 0);
    const { logId } = opened.log.status();
    expect(await verifyStore(opened.store.audit, logId)).toMatchObject({ ok: true, records: 30 });
  });

  test("inserted records are found and stay an alarm: nothing here may delete", async () => {
    const opened = await openLog(kind);
    await fill(opened, 5);
    const columns = "log, leaf, envelope, details, time_ms, event, durability";
    const { monitor, found } = watch(opened);
    await opened.sql(
      `insert into audit_records (seq, ${columns}) select seq + 5, ${columns} from audit_records where seq in (1, 2)`,
    );
    await until("it is found", () => found.length > 0);
    expect(found).toEqual([{ place: "database", kind: "inserted", from: 6, to: 7 }]);
    expect(monitor.open().database).toBe(2);
  });

  test("what retention deleted on the record is no violation; the order's digest must be right", async () => {
    const opened = await openLog(kind);
    await fill(opened, 12);
    const { logId } = opened.log.status();
    const leaves = openTree(opened)?.leaves(3, 5) ?? [];
    const order = (seqs: readonly number[], digest: string) =>
      opened.log.append(
        {
          event: "retention.executed",
          class: "A",
          timeMs: systemClock.nowMs(),
          facts: { deletedLog: logId, deletedSeqs: renderSeqs(seqs), count: seqs.length, digest },
          details: {},
        },
        "synced",
      );
    await order([3, 4, 5], digestLeaves(leaves));
    await order([8], digestLeaves(["00".repeat(32)]));
    await fill(opened, 16);
    await opened.store.audit.prune([3, 4, 5, 8].map((seq) => ({ logId, seq })));
    const { monitor, found } = watch(opened);
    await until("two laps", () => monitor.laps() >= 2);
    expect(found).toEqual([{ place: "database", kind: "deleted", from: 8, to: 8 }]);
  });
});

test.each([
  ["a number that was", "select 4", "where seq = 2 and tool = 'tool-2'", 4, 4],
  ["the last number that was", "select seq", "where log = 1 and seq = 8", 8, 8],
  // More rows than a page has room for.
  ["all numbers that were", "select seq", "where log = 1 and seq <= 8", 1, 8],
])(
  "ST-06: %s used again in another month's partition: found, and the right rows put back",
  async (_which, select, where, from, to) => {
    const opened = await openLog("postgres");
    await fill(opened, 8);
    const other = systemClock.nowMs() + 40 * 86_400_000;
    const { logId } = opened.log.status();
    const [row] = (await opened.store.audit.scan({ filter: {}, limit: 1, order: "descending" }))
      .rows;
    if (row === undefined) throw new Error("nothing was copied");
    // Makes the month's partition.
    await opened.store.audit.append([{ ...row, logId: "other", seq: 1, timeMs: other }]);
    const columns = "log, leaf, envelope, details, event, durability";
    await opened.sql(
      `insert into audit_records (seq, time_ms, ${columns}) ${select}, ${other}, ${columns} from audit_records ${where}`,
    );
    const { monitor, found, healed } = watch(opened);
    await until("it is healed", () => healed.length > 0);
    expect(found).toEqual([{ place: "database", kind: "inserted", from, to }]);
    await until("it is no alarm any more", () => monitor.open().database === 0);
    expect(await verifyStore(opened.store.audit, logId)).toMatchObject({ ok: true });
  },
);

test("a database that is away is no violation, and is looked at again when it is back", async () => {
  const opened = await openLog("sqlite");
  await fill(opened, 8);
  let isAway = true;
  const { audit } = opened.store;
  const scan: typeof audit.scan = async (query) => {
    if (isAway) throw new Error("away");
    return await audit.scan(query);
  };
  const { monitor, found } = watch({
    ...opened,
    store: { ...opened.store, audit: { ...audit, scan } },
  });
  await until("two laps", () => monitor.laps() >= 2);
  expect(found).toEqual([]);
  await opened.sql("delete from audit_records where seq = 3");
  isAway = false;
  await until("it is found", () => found.length > 0);
});

describe("ST-14: a damaged segment", () => {
  async function openSegments(): Promise<Opened> {
    const opened = await openLog("sqlite", 6_000);
    await fill(opened, 60);
    expect(listSegments(join(opened.dataDir, "spool")).length).toBeGreaterThan(3);
    return opened;
  }
  const segmentAt = ({ dataDir }: Opened, index: number) => {
    const segments = listSegments(join(dataDir, "spool"));
    return { path: segments[index]?.path ?? "", next: segments[index + 1]?.firstSeq ?? 0 };
  };
  function flip(path: string, at: (bytes: Buffer) => number): void {
    const bytes = readFileSync(path);
    const place = at(bytes);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  }

  test.each([
    ["in the middle", (bytes: Buffer) => Math.floor(bytes.length / 2)],
    ["in its header", () => 30],
    ["in a record's length", (bytes: Buffer) => 8 + bytes.readUInt32LE(0)],
  ])("one bit %s: found, healed from the database, the damaged file kept", async (_what, at) => {
    const opened = await openSegments();
    const { path } = segmentAt(opened, 1);
    flip(path, at);
    const damaged = readFileSync(path);
    const { monitor, found, healed } = watch(opened);
    await until("it is healed", () => healed.length > 0);
    expect(found).toMatchObject([{ place: "spool", kind: "damaged" }]);
    expect(healed).toMatchObject([{ place: "spool" }]);
    expect(readFileSync(`${path}.kept`).equals(damaged)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await until("it is no alarm any more", () => monitor.open().spool === 0);
    expect(verifySpool(join(opened.dataDir, "spool"))).toMatchObject({ ok: true });
  });

  test("a record whose checksum was mended is found by its leaf and healed", async () => {
    const opened = await openSegments();
    const { path } = segmentAt(opened, 1);
    const bytes = readFileSync(path);
    bytes.write("hack", bytes.indexOf('"calc"') + 1);
    mendChecksums(bytes);
    writeFileSync(path, bytes);
    const { found, healed } = watch(opened);
    await until("it is healed", () => healed.length > 0);
    expect(found).toMatchObject([{ place: "spool", kind: "edited" }]);
    expect(verifySpool(join(opened.dataDir, "spool"))).toMatchObject({ ok: true });
  });

  test("a segment that was removed is written anew", async () => {
    const opened = await openSegments();
    const { path } = segmentAt(opened, 1);
    rmSync(path);
    const { monitor, found, healed } = watch(opened);
    await until("it is healed", () => healed.length > 0);
    expect(found).toMatchObject([{ place: "spool", kind: "damaged" }]);
    await until("it is no alarm any more", () => monitor.open().spool === 0);
    expect(verifySpool(join(opened.dataDir, "spool"))).toMatchObject({ ok: true });
  });

  test("where the database's copy is wrong as well nothing is written: an operator decides", async () => {
    const opened = await openSegments();
    const { path } = segmentAt(opened, 1);
    flip(path, (bytes) => Math.floor(bytes.length / 2));
    await opened.sql("update audit_records set envelope = replace(envelope, 'calc', 'hack')");
    const { monitor, found, healed } = watch(opened);
    await until("both are found", () => {
      const places = new Set(found.map(({ place }) => place));
      return places.has("spool") && places.has("database");
    });
    await until("two laps more", () => monitor.laps() >= 2);
    expect(healed.filter(({ place }) => place === "spool")).toEqual([]);
    expect(existsSync(`${path}.kept`)).toBe(false);
    expect(monitor.open().spool).toBeGreaterThan(0);
    expect(monitor.open().database).toBeGreaterThan(0);
  });
});

test("tiles that were changed are found: both copies agree against them", async () => {
  const opened = await openLog("sqlite");
  await fill(opened, 20);
  const tiles = join(evidenceFolder(opened.dataDir), "tile/0/000.p");
  const widest = readdirSync(tiles).sort((a, b) => Number(b) - Number(a))[0] ?? "";
  const path = join(tiles, widest);
  const bytes = readFileSync(path);
  bytes[5 * 32] = (bytes[5 * 32] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const { found } = watch(opened);
  await until("it is found", () => found.some(({ kind }) => kind === "root"));
  expect(found).toContainEqual({ place: "tree", kind: "edited", from: 6, to: 6 });
});

/** Whoever edits a record can mend its frame's checksum too. */
function mendChecksums(bytes: Buffer): void {
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length === 0 || at + 8 + length > bytes.length) return;
    bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(at + 8, at + 8 + length)), at + 4);
    at += 8 + length;
  }
}
