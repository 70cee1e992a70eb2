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
      sealedUnder: async (_keys, { untilSeq }) => ({ found: [], seq: untilSeq }),
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

test("PV-01 the spool is swept a page at a time, each ordered once and before the next is asked for", async () => {
  const store = createMemoryAuditStore();
  for (let seq = 1; seq <= 25; seq += 1) {
    store.rows.push(auditRow(seq, { principal: "token", details: sealedPart(key, "secret") }));
  }
  // What another node emptied in the database while this one was away is ordered all the same.
  await store.erase([{ logId: "log-a", seq: 7 }]);
  const told: unknown[] = [];
  const emptied = () => store.rows.filter((row) => row.details === null).length;
  const sweep = createSweeper({
    store: {
      ...store,
      head: async () => ({ seq: 1_000, leaf: "" }),
      sealed: (query) => {
        told.push(["searched", emptied()]);
        return store.sealed(query);
      },
    },
    log: {
      append: async ({ facts }) => {
        told.push(["ordered", facts.erasedSeqs, emptied()]);
        return { logId: "log-a", seq: 100 };
      },
      caughtUp: async () => {},
      flush: async () => {},
      status: () => ({ logId: "log-a", syncedSeq: 25 }),
      shred: async () => {
        told.push(["shredded", emptied()]);
        return 0;
      },
      sealedUnder: async (_keys, look) => {
        told.push(["looked", look]);
        const rows = store.rows.filter(({ seq }) => seq > look.afterSeq).slice(0, look.framesMax);
        return { found: rows, seq: rows.at(-1)?.seq ?? look.untilSeq };
      },
    },
    ...{ clock, metrics: createMetrics(), batchMax: 10 },
    verifying: { isWitnessed: async () => true, untilRead: async () => {} },
    isStopped: () => false,
  });
  expect(await sweep([noted], [])).toBe(24);
  const look = (afterSeq: number) => ["looked", { afterSeq, untilSeq: 25, framesMax: 10 }];
  expect(told).toEqual([
    ...[look(0), ["ordered", "1-10", 1]],
    ...[look(10), ["ordered", "11-20", 10]],
    ...[look(20), ["ordered", "21-25", 20]],
    ...[
      ["shredded", 25],
      ["searched", 25],
    ],
  ]);
});

// A query has at most 100 keys and 100,000 tokens.
test.each([
  [11, 10_000, [5, 6]],
  [91, 10_000, [9, 9, 9, 9, 9, 9, 9, 9, 9, 10]],
  [101, 3, [50, 51]],
  [1, 1, [1]],
])(
  "PV-14 %i people of %i tokens each are asked for together, nobody left over alone",
  async (people, tokens, parts) => {
    const store = createMemoryAuditStore();
    const asked: number[] = [];
    const seen: string[] = [];
    const sweep = createSweeper({
      store: {
        ...store,
        head: async () => ({ seq: 1_000, leaf: "" }),
        sealed: async ({ keys, principals = [] }) => {
          asked.push(keys.length);
          seen.push(...keys);
          expect(principals.length).toBe(keys.length * tokens);
          return [];
        },
      },
      log: {
        append: async () => ({ logId: "log-a", seq: 100 }),
        caughtUp: async () => {},
        flush: async () => {},
        status: () => ({ logId: "log-a", syncedSeq: 0 }),
        shred: async () => 0,
        sealedUnder: async (_keys, { untilSeq }) => ({ found: [], seq: untilSeq }),
      },
      ...{ clock, metrics: createMetrics(), batchMax: 10 },
      verifying: { isWitnessed: async () => true, untilRead: async () => {} },
      isStopped: () => false,
    });
    const principals = Array.from({ length: tokens }, (_, at) => `token-${at}`);
    const sweeps = Array.from({ length: people }, (_, at) => ({
      ...noted,
      key: `key-${at}`,
      principals,
    }));
    await sweep(sweeps, []);
    expect(asked).toEqual(parts);
    expect(seen).toEqual(sweeps.map((one) => one.key));
  },
);
