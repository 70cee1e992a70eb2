/** One at a time, in order, bounded; giving up neither loses a turn nor keeps one. */
import { expect, test } from "bun:test";
import { StoreError } from "../../../src/storage/store.ts";
import { createTurns } from "../../../src/storage/turns.ts";

test("turns come one at a time, in order of arrival", async () => {
  const turns = createTurns(10);
  const order: string[] = [];
  const use = async (name: string): Promise<void> => {
    await turns.enter().ready;
    order.push(`${name} in`);
    await Promise.resolve();
    order.push(`${name} out`);
    turns.leave();
  };
  await Promise.all([use("a"), use("b"), use("c")]);
  expect(order).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
});

test("more waiters than the bound are refused", async () => {
  const turns = createTurns(1);
  await turns.enter().ready;
  turns.enter();
  expect(() => turns.enter()).toThrow(StoreError);
});

test("who gives up waiting is passed over", async () => {
  const turns = createTurns(10);
  await turns.enter().ready;
  const impatient = turns.enter();
  const next = turns.enter();
  impatient.abandon();
  turns.leave();
  await next.ready;
});

test("who gives up a turn that came already passes it on", async () => {
  const turns = createTurns(10);
  await turns.enter().ready;
  const impatient = turns.enter();
  const next = turns.enter();
  turns.leave();
  await impatient.ready;
  impatient.abandon();
  await next.ready;
});
