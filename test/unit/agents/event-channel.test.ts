import { expect, test } from "bun:test";
import { createEventChannel } from "../../../src/agents/event-channel.ts";

function createTestChannel(writeQueueBytesMax = 10) {
  let nowMs = 0;
  const closes: string[] = [];
  const channel = createEventChannel({
    clock: { nowMs: () => 0, monotonicMs: () => nowMs },
    writeQueueBytesMax,
    slowReaderMs: 100,
    keepAliveMs: 50,
    onClose: (why) => closes.push(why),
  });
  const reader = channel.stream.getReader();
  return {
    channel,
    closes,
    reader,
    pass: (ms: number) => {
      nowMs += ms;
      channel.tick();
    },
    async read() {
      const next = await reader.read();
      return next.done ? undefined : new TextDecoder().decode(next.value);
    },
  };
}

test("hands over what was queued, in order, then ends", async () => {
  const { channel, read, closes } = createTestChannel();
  channel.push("a");
  channel.push("b");
  expect(await read()).toBe("ab");
  const later = read();
  channel.push("c");
  expect(await later).toBe("c");
  channel.push("d");
  channel.end();
  channel.push("too late");
  expect(await read()).toBe("d");
  expect(await read()).toBeUndefined();
  expect(closes).toEqual(["ended"]);
});

test("TS-01: a queue over its bound cuts the reader; one large message does not, behind a small one either", async () => {
  const { channel, read, closes } = createTestChannel();
  channel.push("small");
  channel.push("x".repeat(50));
  expect(await read()).toHaveLength(55);
  channel.push("x".repeat(8));
  channel.push("yyy");
  expect(closes).toEqual([]);
  channel.push("z");
  expect(closes).toEqual(["cut"]);
  await expect(read()).rejects.toBeUndefined();
});

test("TS-01: what waits is counted in bytes, whatever letters they are", () => {
  const { channel, closes } = createTestChannel();
  channel.push("€€€");
  channel.push("x");
  expect(closes).toEqual([]);
  channel.push("y");
  expect(closes).toEqual(["cut"]);
});

test("TS-02: a reader that does not even take the end is cut", async () => {
  const { channel, pass, closes } = createTestChannel();
  pass(40);
  channel.end();
  pass(99);
  expect(closes).toEqual([]);
  pass(2);
  expect(closes).toEqual(["cut"]);
});

test("TS-02: bytes that nobody takes for too long cut the reader", () => {
  const { channel, pass, closes } = createTestChannel();
  channel.push("x");
  pass(99);
  expect(closes).toEqual([]);
  pass(2);
  expect(closes).toEqual(["cut"]);
});

test("a quiet stream is kept alive by comments", async () => {
  const { read, pass } = createTestChannel();
  const next = read();
  pass(40);
  pass(11);
  expect(await next).toBe(": keep-alive\n\n");
});

test("a reader that goes away is told apart", async () => {
  const { reader, closes, channel } = createTestChannel();
  await reader.cancel();
  channel.push("x");
  channel.end();
  expect(closes).toEqual(["gone"]);
});
