import { expect, test } from "bun:test";
import { createSendQueue } from "../../../src/agents/send-queue.ts";

function createTestQueue(statuses: number[]) {
  let nowMs = 0;
  const sent: string[] = [];
  const cuts: number[] = [];
  const socket = {
    send(text: string) {
      sent.push(text);
      return statuses.shift() ?? text.length;
    },
  };
  const queue = createSendQueue(socket, {
    clock: { nowMs: () => 0, monotonicMs: () => nowMs },
    writeQueueBytesMax: 5,
    slowReaderMs: 100,
    onTooSlow: () => cuts.push(1),
  });
  const pass = (ms: number) => {
    nowMs += ms;
    queue.tick();
  };
  return { queue, sent, cuts, pass };
}

test("TW-04: after backpressure nothing is sent until drain, then everything in order", async () => {
  const { queue, sent, cuts } = createTestQueue([1, -1, 1, -1]);
  for (const text of ["a", "b", "c", "d", "e"]) queue.send(text);
  expect(sent).toEqual(["a", "b"]);
  await queue.drain();
  expect(sent).toEqual(["a", "b", "c", "d"]);
  await queue.drain();
  expect(sent).toEqual(["a", "b", "c", "d", "e"]);
  expect(cuts).toEqual([]);
});

test("TW-04: overflow, a dropped message and standing still each cut the reader", () => {
  const overflow = createTestQueue([-1]);
  for (const text of ["a", "bbb", "cc", "d"]) overflow.queue.send(text);
  expect(overflow.cuts).toHaveLength(1);

  const dropped = createTestQueue([0]);
  dropped.queue.send("a");
  expect(dropped.cuts).toHaveLength(1);

  const still = createTestQueue([-1]);
  still.queue.send("a");
  still.pass(100);
  expect(still.cuts).toHaveLength(0);
  still.pass(1);
  expect(still.cuts).toHaveLength(1);
});

test("TW-04: what waits is bounded in bytes, and one message larger than the bound may wait", async () => {
  for (const waiting of [["bbbbb"], ["ééb"], ["€€"], ["bbbb", "a message of its own"]]) {
    const { queue, sent, cuts } = createTestQueue([-1, -1]);
    for (const text of ["a", ...waiting]) queue.send(text);
    expect(cuts).toHaveLength(0);
    queue.send("c");
    expect(cuts).toHaveLength(1);
    await queue.drain();
    expect(sent).toEqual(["a"]);
  }
});

test("TW-04: what was drained makes room again, to the byte", async () => {
  const { queue, sent, cuts } = createTestQueue([-1, -1]);
  for (const text of ["a", "€€"]) queue.send(text);
  await queue.drain();
  queue.send("éé");
  queue.send("c");
  expect(cuts).toHaveLength(0);
  queue.send("d");
  expect(cuts).toHaveLength(1);
  expect(sent).toEqual(["a", "€€"]);
});
