/**
 * The audit log on real files, its real thread and real processes: what was acknowledged is there after any end,
 * damage is found and kept, and the copy in the store is complete.
 */
import { afterEach, expect, test } from "bun:test";
import {
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditLogDeps, type OpenAuditLog, openAuditLog } from "../../src/audit/log.ts";
import { createOpener } from "../../src/audit/opener.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { verifySpool, verifyStore } from "../../src/audit/verify/verify.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { AuditRow } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { createMemoryAuditStore, type MemoryAuditStore } from "../support/memory-audit-store.ts";
import { openMemoryVault } from "../support/sealing.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function makeDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "audit-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function openLog(
  dataDir: string,
  store: MemoryAuditStore = createMemoryAuditStore(),
  options: AuditLogDeps["options"] = {},
  vault?: Vault,
): Promise<OpenAuditLog> {
  return openAuditLog({
    dataDir,
    store: { audit: store },
    keys: vault ?? (await openMemoryVault()),
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    options: { backoffMinMs: 5, backoffMaxMs: 20, ...options },
  });
}

function draft(event: RecordDraft["event"], facts: RecordDraft["facts"] = {}): RecordDraft {
  const details = { principal: "agent-1", client: "demo" };
  return { event, class: "A", timeMs: systemClock.nowMs(), facts, details };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + 30_000;
  while (!(await condition())) {
    if (systemClock.monotonicMs() > endMs) throw new Error("the condition never came true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function envelopesOf(dataDir: string) {
  return listSegments(join(dataDir, "spool")).flatMap(({ path }) =>
    scanSegment(readFileSync(path)).records.map((record) => JSON.parse(record.envelope)),
  );
}

test("a reader finds what was synced when it asked, however long the copy collects", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(makeDir(), store, { lingerMs: 3_600_000 });
  await log.append(draft("admin.change"), "synced");
  await until(() => log.status().shippedSeq === 1);
  for (const seq of [2, 3, 4]) {
    await log.append(draft("admin.change"), "synced");
    await Promise.all([log.caughtUp(5_000), log.caughtUp(5_000)]);
    expect(store.rows.map((row) => row.seq)).toContain(seq);
  }
  await log.close();
});

test("records are numbered, chained, shipped and verify in the spool and in the store", async () => {
  const dataDir = makeDir();
  const store = createMemoryAuditStore();
  const vault = await openMemoryVault();
  const log = await openLog(dataDir, store, {}, vault);
  const refs = await Promise.all(
    (["queued", "written", "synced"] as const).flatMap((level) =>
      Array.from({ length: 20 }, () => log.append(draft("admin.change", { tool: "tö✓l" }), level)),
    ),
  );
  await log.flush();
  expect(refs.slice(20).map((ref) => ref.seq)).toEqual(
    Array.from({ length: 40 }, (_, i) => i + 21),
  );
  await until(() => log.status().shippedSeq >= 60);
  const { logId } = log.status();
  await log.close();
  expect(JSON.stringify(store.rows)).not.toContain("agent-1");
  for (const { row, state, values } of await createOpener(vault).open(store.rows)) {
    expect(row).toMatchObject({ principal: "agent-1", client: "demo", tool: "tö✓l" });
    expect({ state, values }).toEqual({
      state: "open",
      values: { principal: "agent-1", client: "demo" },
    });
  }
  expect(await verifyStore(store, logId)).toMatchObject({ ok: true, records: 60 });
  expect(verifySpool(join(dataDir, "spool"))).toMatchObject({ ok: true, records: 60, logId });
  expect(statSync(join(dataDir, "spool")).mode & 0o777).toBe(0o700);
  for (const { path } of listSegments(join(dataDir, "spool"))) {
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
});

test("ST-04 a database that lost its last records is filled again from the spool, and it is recorded", async () => {
  const dataDir = makeDir();
  const store = createMemoryAuditStore();
  const log = await openLog(dataDir, store, { tidyIntervalMs: 20, lingerMs: 1 });
  await Promise.all(Array.from({ length: 30 }, () => log.append(draft("admin.change"), "synced")));
  await until(() => store.rows.length >= 30);
  store.rows.splice(20);
  await until(() => store.rows.some((row) => row.event === "storage.regressed"));
  const { logId } = log.status();
  await log.close();
  expect(await verifyStore(store, logId)).toMatchObject({ ok: true });
  expect(store.rows.map((row) => row.seq)).toEqual(store.rows.map((_, at) => at + 1));
  expect(store.rows.length).toBeGreaterThan(30);
});

test("ST-04 new records do not hide that the database lost those before them", async () => {
  const store = createMemoryAuditStore();
  // Only what is copied finds out: nobody looks the copy over.
  const log = await openLog(makeDir(), store, { tidyIntervalMs: 3_600_000, lingerMs: 1 });
  await Promise.all(Array.from({ length: 30 }, () => log.append(draft("admin.change"), "synced")));
  await until(() => store.rows.length >= 30);
  store.rows.splice(20);
  await log.append(draft("admin.change"), "synced");
  await until(() => store.rows.some((row) => row.event === "storage.regressed"));
  const { logId } = log.status();
  await log.close();
  expect(store.rows.length).toBeGreaterThan(30);
  expect(await verifyStore(store, logId)).toMatchObject({ ok: true });
});

test("the chain and its number run on after a restart, across segments", async () => {
  const dataDir = makeDir();
  const store = createMemoryAuditStore();
  for (const round of [0, 1, 2]) {
    const log = await openLog(dataDir, store, { segmentBytesMax: 4096 });
    for (let index = 0; index < 10; index += 1) {
      const ref = await log.append(draft("admin.change"), "synced");
      expect(ref.seq).toBe(round * 10 + index + 1);
    }
    await until(() => log.status().shippedSeq === round * 10 + 10);
    await log.close();
  }
  expect(listSegments(join(dataDir, "spool")).length).toBeGreaterThan(2);
  expect(verifySpool(join(dataDir, "spool"))).toMatchObject({ ok: true, records: 30 });
  expect(await verifyStore(store, store.rows[0]?.logId ?? "")).toMatchObject({
    ok: true,
    records: 30,
  });
});

test("ST-11 after kill -9 nothing acknowledged is lost and open intents are closed", async () => {
  const dataDir = makeDir();
  const acknowledged: string[] = [];
  for (const count of [40, 400, 1500]) {
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../support/audit-child.ts"), dataDir],
      { stdout: "pipe", stderr: "inherit" },
    );
    acknowledged.push(...(await killAfterLines(child, count)));
    expect(verifySpool(join(dataDir, "spool")).violation).toBeUndefined();
  }
  const log = await openLog(dataDir);
  await log.flush();
  await log.close();
  expect(verifySpool(join(dataDir, "spool"))).toMatchObject({ ok: true });
  const envelopes = envelopesOf(dataDir);
  const events = new Map(envelopes.map((one) => [`${one.event[5]}${one.seq}`, one]));
  expect(acknowledged.filter((line) => !events.has(line))).toEqual([]);
  const closed = new Set(envelopes.map((one) => one.facts.intent));
  const intents = envelopes.filter((one) => one.event === "call.intent");
  expect(intents.filter((one) => !closed.has(one.seq))).toEqual([]);
  expect(envelopes.some((one) => one.facts.status === "outcome_unknown")).toBe(true);
  expect(envelopes.some((one) => one.event === "recovery.closed_intents")).toBe(true);
});

async function killAfterLines(
  child: Bun.Subprocess<"ignore", "pipe", "inherit">,
  count: number,
): Promise<readonly string[]> {
  let text = "";
  let isKilled = false;
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (isKilled || text.split("\n").length <= count) continue;
    child.kill(9);
    isKilled = true;
  }
  await child.exited;
  return text.split("\n").slice(0, -1);
}

test("ST-13 a torn tail is cut and the log goes on", async () => {
  const dataDir = makeDir();
  const first = await openLog(dataDir);
  for (let index = 0; index < 5; index += 1) await first.append(draft("admin.change"), "synced");
  await first.close();
  const path = listSegments(join(dataDir, "spool"))[0]?.path ?? "";
  truncateSync(path, (scanSegment(readFileSync(path)).records.at(-1)?.to ?? 0) - 7);
  const second = await openLog(dataDir);
  expect((await second.append(draft("admin.change"), "synced")).seq).toBe(5);
  await second.close();
  expect(verifySpool(join(dataDir, "spool"))).toMatchObject({ ok: true, records: 5 });
});

test("ST-14 a flipped bit in the middle is named, kept and never truncated", async () => {
  const dataDir = makeDir();
  const first = await openLog(dataDir);
  for (let index = 0; index < 9; index += 1) await first.append(draft("admin.change"), "synced");
  await first.close();
  const path = listSegments(join(dataDir, "spool"))[0]?.path ?? "";
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 4;
  writeFileSync(path, bytes);
  const store = createMemoryAuditStore();
  const second = await openLog(dataDir, store);
  expect((await second.append(draft("admin.change"), "synced")).seq).toBe(11);
  await until(() => second.status().shippedSeq >= 11);
  await second.close();
  expect(readFileSync(path)).toEqual(bytes);
  expect(
    envelopesOf(dataDir).find((one) => one.event === "integrity.violation").facts,
  ).toMatchObject({
    kind: "bytes",
    segment: "0000000000000001.seg",
  });
  expect(verifySpool(join(dataDir, "spool"))).toMatchObject({ ok: false });
  const report = await verifyStore(store, store.rows[0]?.logId ?? "");
  expect(report.violation).toMatchObject({ kind: "delete", seq: 5 });
});

test("ST-15 a link in the place of the spool is refused", async () => {
  const dataDir = makeDir();
  symlinkSync(makeDir(), join(dataDir, "spool"));
  await expect(openLog(dataDir)).rejects.toThrow("must be a directory, not a link");
});

test("ST-15 an emptied spool is noticed: a new log begins and says which one was lost", async () => {
  const dataDir = makeDir();
  const store = createMemoryAuditStore();
  const first = await openLog(dataDir, store);
  for (let index = 0; index < 3; index += 1) await first.append(draft("admin.change"), "synced");
  await first.close();
  rmSync(join(dataDir, "spool"), { recursive: true });
  const second = await openLog(dataDir, store);
  const { logId } = second.status();
  await second.close();
  expect(logId).not.toBe(first.status().logId);
  expect(envelopesOf(dataDir)[0]).toMatchObject({
    log: logId,
    seq: 1,
    event: "integrity.violation",
    facts: { kind: "spool-lost", log: first.status().logId, lastSeqInStore: 3 },
  });
  expect(await verifyStore(store, first.status().logId)).toMatchObject({ ok: true, records: 3 });
  expect(await verifyStore(store, logId)).toMatchObject({ ok: true, records: 1 });
});

test("ST-17 a second opener is refused, in this process and in another", async () => {
  const dataDir = makeDir();
  const log = await openLog(dataDir);
  await expect(openLog(dataDir)).rejects.toThrow("in use by another process");
  const child = Bun.spawnSync(
    [process.execPath, join(import.meta.dir, "../support/audit-child.ts"), dataDir],
    { timeout: 50_000 },
  );
  expect(child.stderr.toString()).toContain("in use by another process");
  await log.close();
  await (await openLog(dataDir)).close();
});

test("ST-01 with the database away calls go on; the backlog drains, and both ends are recorded", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(makeDir(), store, { lingerMs: 0 });
  await log.append(draft("admin.change"), "synced");
  await until(() => log.status().shippedSeq >= 1);
  store.isDown = true;
  for (let index = 0; index < 50; index += 1) await log.append(draft("admin.change"), "synced");
  expect(log.status()).toMatchObject({ shippedSeq: 1, writable: true });
  store.isDown = false;
  await until(() => store.rows.some((row) => row.event === "storage.up"));
  await log.close();
  expect(store.rows.filter((row) => row.event === "storage.down")).toHaveLength(1);
  expect(await verifyStore(store, log.status().logId)).toMatchObject({ ok: true, records: 53 });
});

test("ST-04 rows the database lost are shipped again; segments go only after read-back and age", async () => {
  const store = createMemoryAuditStore();
  const dataDir = makeDir();
  const options = { segmentBytesMax: 2048, keepShippedMs: 0, tidyIntervalMs: 10 };
  const log = await openLog(dataDir, store, options);
  for (let index = 0; index < 20; index += 1) await log.append(draft("admin.change"), "synced");
  await until(() => listSegments(join(dataDir, "spool")).length === 1);
  await log.append(draft("admin.change"), "synced");
  await until(() => log.status().shippedSeq >= 21);
  const lost = store.rows.pop();
  await until(() => store.rows.some((row) => row.event === "storage.regressed"));
  await log.close();
  expect(store.rows.map((row) => row.seq)).toEqual(store.rows.map((_, at) => at + 1));
  expect(store.rows).toContainEqual(lost as AuditRow);
  expect(await verifyStore(store, log.status().logId)).toMatchObject({ ok: true });
});

test("ST-06 a fork between spool and database stops the copy and is recorded", async () => {
  const store = createMemoryAuditStore();
  const dataDir = makeDir();
  const first = await openLog(dataDir, store);
  await first.append(draft("admin.change"), "synced");
  await until(() => first.status().shippedSeq >= 1);
  await first.close();
  const row = store.rows[0];
  if (row !== undefined) store.rows[0] = { ...row, leaf: "f".repeat(64) };
  const second = await openLog(dataDir, store);
  await until(() => second.status().syncedSeq === 2);
  await second.close();
  expect(envelopesOf(dataDir).at(-1)).toMatchObject({
    event: "integrity.violation",
    facts: { kind: "fork" },
  });
});

test("tail hands on the rows of what became durable, until it is stopped", async () => {
  const log = await openLog(makeDir());
  const seen: AuditRow[] = [];
  const stop = log.tail((row) => seen.push(row));
  await log.append(draft("admin.change", { tool: "a" }), "synced");
  await until(() => seen.length === 1);
  stop();
  await log.append(draft("admin.change", { tool: "b" }), "synced");
  await log.close();
  expect(seen.map((row) => row.tool)).toEqual(["a"]);
});
