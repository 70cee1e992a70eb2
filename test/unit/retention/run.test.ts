/** Retention at work on a small store: recorded before it happens, in batches, and never early. */
import { expect, test } from "bun:test";
import type { OrderAudit } from "../../../src/retention/orders.ts";
import { createRetention } from "../../../src/retention/run.ts";
import type { RetentionRuleResource } from "../../../src/state/resources.ts";
import type { AuditRow } from "../../../src/storage/store.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";
import { createMemoryAuditStore } from "../../support/memory-audit-store.ts";

const dayMs = 86_400_000;
const startMs = 100 * dayMs;

const rule: RetentionRuleResource = {
  id: "r30",
  description: "",
  policyType: "time_based",
  action: "delete",
  retentionDays: 30,
  dataClass: undefined,
  event: undefined,
  clientId: undefined,
  priority: 0,
  enabled: true,
};

function row(seq: number, timeMs: number, event = "call.outcome"): AuditRow {
  const none = { principal: null, client: null, tool: null, server: null, scope: null };
  const also = { method: null, status: null, decision: null, session: null };
  const rest = { correlationId: null, dataClass: null, tenant: null, durability: "B" };
  const bytes = { leaf: `leaf${seq}`, envelope: "{}", details: "{}" };
  return { logId: "log-1", seq, timeMs, event, ...bytes, ...none, ...also, ...rest };
}

function setUp(options = { intervalMs: 1000, batchMax: 2 }) {
  const store = createMemoryAuditStore();
  const clock = { wallMs: startMs, monotonicMs: () => 5, nowMs: () => clock.wallMs };
  const recorded: Parameters<OrderAudit["append"]>[0][] = [];
  const liveWhenRecorded: number[] = [];
  const hurriedAfter: number[] = [];
  const live = () =>
    store.rows
      .filter((one) => one.envelope !== null && one.logId === "log-1")
      .map((one) => one.seq);
  let isLocked = false;
  let isRecordable = true;
  const retention = createRetention({
    store: {
      audit: store,
      exclusively: async (_name, work) => (isLocked ? undefined : work()),
    },
    audit: {
      append: async (draft) => {
        if (!isRecordable) throw new Error("audit-unavailable");
        recorded.push(draft);
        liveWhenRecorded.push(live().length);
        store.rows.push({ ...row(recorded.length, startMs), logId: "orders" });
        return { logId: "orders", seq: recorded.length };
      },
      caughtUp: async () => void hurriedAfter.push(recorded.length),
    },
    verifying: { isWitnessed: async () => true, untilRead: async () => {} },
    toStored: async (filter) => filter,
    rules: () => [rule],
    clock,
    log: silentLog,
    metrics: createMetrics(),
    options,
  });
  for (let seq = 1; seq <= 5; seq += 1) store.rows.push(row(seq, startMs - 40 * dayMs));
  store.rows.push(row(6, startMs - 10 * dayMs), row(7, startMs - 90 * dayMs, "admin.change"));
  const lock = () => (isLocked = true);
  const breakAudit = () => (isRecordable = false);
  return { retention, recorded, liveWhenRecorded, hurriedAfter, live, clock, lock, breakAudit };
}

const request = { validateOnly: false, by: "ada" };

test("what is due goes in batches, each recorded before its rows go", async () => {
  const { retention, recorded, liveWhenRecorded, live } = setUp();
  expect(await retention.process(request)).toEqual([{ ruleId: "r30", matched: 5, deleted: 5 }]);
  expect(live()).toEqual([6, 7]);
  expect(liveWhenRecorded).toEqual([7, 5, 3]);
  expect(recorded[0]).toMatchObject({
    event: "retention.executed",
    class: "A",
    facts: { rule: "r30", deletedLog: "log-1", deletedSeqs: "1-2", deletedFromSeq: 1, count: 2 },
    details: { principal: "ada" },
  });
});

test("the copy is hurried after each order, which has to stand in it", async () => {
  const { retention, hurriedAfter } = setUp();
  await retention.process(request);
  expect(hurriedAfter).toEqual([1, 2, 3]);
});

test("validate only counts and records nothing", async () => {
  const { retention, recorded, live } = setUp();
  const results = await retention.process({ ...request, validateOnly: true });
  expect(results).toEqual([{ ruleId: "r30", matched: 5, deleted: 0 }]);
  expect([recorded.length, live().length]).toEqual([0, 7]);
});

test("what cannot be recorded is not deleted", async () => {
  const { retention, live, breakAudit } = setUp();
  breakAudit();
  await expect(retention.process(request)).rejects.toThrow("audit-unavailable");
  expect(live()).toHaveLength(7);
});

test("a second run at the same time is refused", async () => {
  const { retention, lock } = setUp();
  lock();
  await expect(retention.process(request)).rejects.toMatchObject({
    fault: { name: "state-conflict" },
  });
});

test("PV-10 a wall clock that jumps ahead deletes nothing early", async () => {
  const { retention, live, clock } = setUp();
  clock.wallMs += 25 * dayMs;
  await retention.process(request);
  expect(live()).toEqual([6, 7]);
});

test("stopped, it deletes no further batch", async () => {
  const { retention, live } = setUp();
  retention.start();
  await retention.stop();
  await retention.process(request);
  expect(live()).toHaveLength(7);
});
