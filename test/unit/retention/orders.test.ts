/** Orders are given in pieces that fit a record, and nothing goes before the last of them is signed. */
import { expect, test } from "bun:test";
import { createOrders, orderRowsMax } from "../../../src/retention/orders.ts";

const clock = { nowMs: () => 5, monotonicMs: () => 5 };

function setUp(signedFrom: number) {
  const given: Readonly<Record<string, unknown>>[] = [];
  const asked: number[] = [];
  const waited: number[] = [];
  const orders = createOrders({
    store: { head: async () => ({ seq: 1_000_000, leaf: "" }) },
    audit: {
      append: async ({ facts }) => {
        given.push(facts);
        return { logId: "own", seq: 10_000 + given.length };
      },
      caughtUp: async () => {},
    },
    verifying: {
      isWitnessed: async ({ seq }) => asked.push(seq) >= signedFrom,
      untilRead: async () => void waited.push(given.length),
    },
    clock,
  });
  return { orders, given, asked, waited };
}

const rows = (logId: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ logId, seq: index + 1, leaf: `${index}` }));
const nothing = { facts: {}, details: {} };

test("K-14 an order is waited for until it is signed: unsigned, it would look forged", async () => {
  const { orders, given, asked } = setUp(3);
  await orders.give("erasure.executed", rows("own", 2), nothing);
  expect(given).toHaveLength(1);
  expect(asked).toEqual([10_001, 10_001, 10_001]);
});

test("many rows go by as many orders as they need, each of one log, with one wait for all", async () => {
  const { orders, given, asked, waited } = setUp(1);
  const all = [...rows("own", 2 * orderRowsMax + 1), ...rows("other", 3)];
  await orders.give("erasure.executed", all, nothing);
  expect(given.map(({ erasedLog, count }) => [erasedLog, count])).toEqual([
    ["own", orderRowsMax],
    ["own", orderRowsMax],
    ["own", 1],
    ["other", 3],
  ]);
  expect([asked, waited]).toEqual([[10_004], [4]]);
});

test("no rows, no order", async () => {
  const { orders, given, asked } = setUp(1);
  await orders.give("erasure.executed", [], nothing);
  expect([given, asked]).toEqual([[], []]);
});
