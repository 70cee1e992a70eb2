/** When records leave for the spool's thread, and with which others. */
import { expect, test } from "bun:test";
import { setImmediate as turn } from "node:timers/promises";
import { createBatches } from "../../../../src/audit/spool/batches.ts";

function openBatches() {
  const posted: string[][] = [];
  let timers: (() => void)[] = [];
  const batches = createBatches<number>({
    recordsMax: 10,
    post: (batch) => posted.push(batch.split("\n")),
    retired: () => {},
    later: (_delayMs, run) => {
      timers.push(run);
      return () => {
        timers = timers.filter((one) => one !== run);
        return undefined;
      };
    },
  });
  const runTimers = () => {
    for (const run of timers) run();
  };
  let next = 0;
  const add = (count: number) => {
    for (let left = count; left > 0; left -= 1) {
      next += 1;
      batches.add(String(next), next);
    }
  };
  /** The batches that left, and are done with. */
  const take = () => {
    const sizes = posted.splice(0).map((batch) => batch.length);
    for (const size of sizes) expect(batches.takeOldest()).toHaveLength(size);
    return sizes;
  };
  return { batches, add, take, posted, runTimers };
}

test("what is added in one turn leaves at its end, in one batch and in order", async () => {
  const { add, posted } = openBatches();
  add(3);
  expect(posted).toEqual([]);
  await turn();
  expect(posted).toEqual([["1", "2", "3"]]);
});

test("after a few callers the next one leaves at once; after a crowd it waits a moment for the others", async () => {
  const { add, take, posted, runTimers } = openBatches();
  add(7);
  await turn();
  expect(take()).toEqual([7]);
  add(1);
  await turn();
  expect(take()).toEqual([1]);
  add(8);
  await turn();
  expect(take()).toEqual([8]);
  add(1);
  await turn();
  expect(posted).toEqual([]);
  add(7);
  await turn();
  expect(take()).toEqual([8]);
  add(1);
  runTimers();
  expect(take()).toEqual([1]);
});

test("two batches are under way at most, none larger than allowed; what waits leaves once one is done with", async () => {
  const { batches, add, posted, runTimers } = openBatches();
  for (const count of [2, 2, 12]) {
    add(count);
    await turn();
  }
  expect(posted.map((batch) => batch.length)).toEqual([2, 2]);
  batches.takeOldest();
  batches.advance();
  await turn();
  expect(posted.map((batch) => batch.length)).toEqual([2, 2, 10]);
  batches.takeOldest();
  batches.advance();
  runTimers();
  expect(posted.flat()).toEqual(Array.from({ length: 16 }, (_, index) => String(index + 1)));
});
