/**
 * The fail-closed table, row by row, on the real log, its thread and its files: what each class gets when the database
 * is away and when the spool reaches its quota. The disk's rows (full, failing, slow) are in test/fault.
 */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditLogDeps, type OpenAuditLog, openAuditLog } from "../../src/audit/log.ts";
import type { AuditClass, DurabilityLevel, RecordDraft } from "../../src/audit/record.ts";
import { GatewayError } from "../../src/errors/fault.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "../support/deadline.ts";
import { createMemoryAuditStore, type MemoryAuditStore } from "../support/memory-audit-store.ts";
import { openMemoryVault } from "../support/sealing.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function openLog(
  store: MemoryAuditStore,
  options: AuditLogDeps["options"] = {},
): Promise<OpenAuditLog> {
  const dataDir = mkdtempSync(join(tmpdir(), "fail-closed-"));
  cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const log = await openAuditLog({
    dataDir,
    keys: await openMemoryVault(),
    store: { audit: store },
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    options: { deadlineMs: 20_000, backoffMinMs: 5, backoffMaxMs: 20, ...options },
  });
  cleanups.push(() => log.close());
  return log;
}

function draft(recordClass: AuditClass, event: RecordDraft["event"], intent?: number): RecordDraft {
  const facts = { tool: "t", intent, padding: "x".repeat(700) };
  return { event, class: recordClass, timeMs: systemClock.nowMs(), facts, details: {} };
}

const levels: Readonly<Record<AuditClass, { act: DurabilityLevel; answer: DurabilityLevel }>> = {
  "A+": { act: "synced", answer: "copied" },
  A: { act: "synced", answer: "synced" },
  B: { act: "written", answer: "synced" },
  C: { act: "queued", answer: "queued" },
};

/** How a call of the class goes: the reason it is refused for before or after it was made, or "answered". */
async function callOf(log: OpenAuditLog, recordClass: AuditClass): Promise<string> {
  const { act, answer } = levels[recordClass];
  if (recordClass === "C") {
    const before = log.status().dropped;
    await log.append(draft("C", "call.outcome"), answer);
    return log.status().dropped > before ? "dropped" : "answered";
  }
  const intent = await log.append(draft(recordClass, "call.intent"), act).catch(reasonOf);
  if (typeof intent === "string") return `not made: ${intent}`;
  const outcome = await log
    .append(draft(recordClass, "call.outcome", intent.seq), answer)
    .catch(reasonOf);
  return typeof outcome === "string" ? `made: ${outcome}` : "answered";
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof GatewayError)) throw cause;
  expect(cause.fault.name).toBe("audit-unavailable");
  return cause.fault.reason ?? "";
}

async function callEach(log: OpenAuditLog): Promise<Readonly<Record<string, string>>> {
  const results: Record<string, string> = {};
  for (const one of ["A+", "A", "B", "C"] as const) results[one] = await callOf(log, one);
  return results;
}

test("with everything well each class is answered, and A+ only once the database has it", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(store);
  const intent = await log.append(draft("A+", "call.intent"), "synced");
  const outcome = await log.append(draft("A+", "call.outcome", intent.seq), "copied");
  expect(store.rows.some((row) => row.seq === outcome.seq)).toBe(true);
  expect(await callEach(log)).toEqual({
    "A+": "answered",
    A: "answered",
    B: "answered",
    C: "answered",
  });
});

test("an A+ record ends the shipper's collecting: it waits for no batch", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(store, { lingerMs: 3_600_000 });
  for (let call = 0; call < 5; call += 1) expect(await callOf(log, "A+")).toBe("answered");
});

test("ST-01 database away: A, B and C go on, A+ is not made; A+ again once it is back", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(store, { deadlineMs: 2_000 });
  expect(await callOf(log, "A+")).toBe("answered");
  store.isDown = true;
  await log.append(draft("A", "admin.change"), "synced");
  await until("the outage to be noticed", async () => (await callOf(log, "A+")) !== "answered");
  expect(await callEach(log)).toEqual({
    "A+": "not made: copy-away",
    A: "answered",
    B: "answered",
    C: "answered",
  });
  store.isDown = false;
  await until("A+ again", async () => (await callOf(log, "A+")) === "answered");
});

test("ST-01 the database goes away under an A+ call: made, and never answered as if it were recorded", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(store, { deadlineMs: 1_000 });
  const intent = await log.append(draft("A+", "call.intent"), "synced");
  await until("the copy", () => log.status().shippedSeq >= intent.seq);
  store.isDown = true;
  const outcome = log.append(draft("A+", "call.outcome", intent.seq), "copied").catch(reasonOf);
  expect(await outcome).toBe("deadline");
});

const quotaRows = [
  { used: 0.81, want: { "A+": "answered", A: "answered", B: "answered", C: "dropped" } },
  {
    used: 0.96,
    want: { "A+": "answered", A: "answered", B: "not made: spool-full", C: "dropped" },
  },
  {
    used: 1,
    want: {
      "A+": "not made: spool-full",
      A: "not made: spool-full",
      B: "not made: spool-full",
      C: "dropped",
    },
  },
] as const;
for (const { used, want } of quotaRows) {
  test(`ST-08 at ${100 * used} % of the quota: ${Object.values(want).join(", ")}`, async () => {
    const store = createMemoryAuditStore();
    const spoolBytesMax = 1024 * 1024;
    const log = await openLog(store, {
      spoolBytesMax,
      keepShippedMs: 3_600_000,
      tidyIntervalMs: 3_600_000,
      pressedTidyIntervalMs: 3_600_000,
    });
    while (log.status().spoolBytes < used * spoolBytesMax) {
      const missing = used * spoolBytesMax - log.status().spoolBytes;
      const count = Math.max(1, Math.min(50, Math.floor(missing / 1_500)));
      const own = draft("A", "admin.change");
      await Promise.all(Array.from({ length: count }, () => log.append(own, "synced")));
    }
    expect(await callEach(log)).toEqual(want);
    const warned = store.rows.filter((row) => row.event === "storage.quota").length;
    await until("the warnings", () => {
      const told = store.rows.filter((row) => row.event === "storage.quota");
      return told.length >= Math.max(warned, used >= 0.95 ? 3 : 2);
    });
    const percents = store.rows
      .filter((row) => row.event === "storage.quota")
      .map((row) => JSON.parse(row.envelope ?? "").facts.percent);
    expect(percents).toEqual([50, 80, 95].filter((percent) => percent <= 100 * used));
  });
}

test("the closing record is the log's last, and nothing is taken after it", async () => {
  const store = createMemoryAuditStore();
  const log = await openLog(store);
  await log.append(draft("A", "admin.change"), "synced");
  const closing = log.close(draft("A", "lifecycle.stopped"));
  await closing;
  const late = log.append(draft("A", "admin.change"), "synced").catch(reasonOf);
  expect(await late).toBe("closing");
  const last = store.rows.toSorted((a, b) => a.seq - b.seq).at(-1);
  expect(last?.event).toBe("lifecycle.stopped");
});
