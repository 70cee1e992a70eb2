/** A sweep of many rows goes through them once, a bounded number at a time, each ordered before it is emptied. */
import { expect, test } from "bun:test";
import { createSweeper } from "../../../src/retention/sweep.ts";
import type { SealedQuery } from "../../../src/storage/store.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";
import type { Sweep } from "../../../src/vault/sweeps.ts";
import { auditRow } from "../../support/audit-row.ts";
import { createMemoryAuditStore } from "../../support/memory-audit-store.ts";
import { sealedPart } from "../../support/sealed-spool.ts";

const clock = { nowMs: () => 5, monotonicMs: () => 5 };
const key = "a".repeat(16);
const noted: Sweep = {
  ...{ key, purpose: "subject", tenant: "", label: "", principals: ["token"], fromMs: null },
  ...{ untilMs: null, orderedAtMs: 0, isUrgent: true, isRecorded: true },
};

test("PV-01 what is emptied is not looked through again, and no batch is larger than is asked", async () => {
  const store = createMemoryAuditStore();
  for (let seq = 1; seq <= 25; seq += 1) {
    store.rows.push(auditRow(seq, { principal: "token", details: sealedPart(key, "secret") }));
  }
  const asked: (SealedQuery & { readonly limit: number })[] = [];
  const emptiedWhenOrdered: number[] = [];
  const counted: unknown[] = [];
  const sweep = createSweeper({
    store: {
      ...store,
      head: async () => ({ seq: 1_000, leaf: "" }),
      sealed: (query) => {
        asked.push(query);
        return store.sealed(query);
      },
    },
    log: {
      append: async ({ facts }) => {
        counted.push(facts.count);
        emptiedWhenOrdered.push(store.rows.filter((row) => row.details === null).length);
        return { logId: "log-a", seq: 100 };
      },
      caughtUp: async () => {},
      flush: async () => {},
      status: () => ({ logId: "log-a", syncedSeq: 25 }),
      shred: async () => 0,
      sealedUnder: async () => [],
    },
    ...{ clock, metrics: createMetrics(), batchMax: 10 },
    verifying: { isWitnessed: async () => true, untilRead: async () => {} },
    isStopped: () => false,
  });
  expect(await sweep([noted], [])).toBe(25);
  expect([counted, emptiedWhenOrdered]).toEqual([
    [10, 10, 5],
    [0, 10, 20],
  ]);
  // The last is for what healing put back meanwhile, wherever that lies.
  expect(asked.map(({ fromMs }) => fromMs)).toEqual([undefined, 1_010, 1_020, 1_025, undefined]);
  expect(asked.every(({ limit }) => limit === 10)).toBe(true);
});
