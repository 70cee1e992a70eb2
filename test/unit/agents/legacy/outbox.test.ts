import { expect, test } from "bun:test";
import {
  createOutboxes,
  eventIdOf,
  type Outbox,
  type OutboxLimits,
} from "../../../../src/agents/legacy/outbox.ts";

const tag = "0123456789ab";
/** What an event weighs beside its text, and a stream by itself. */
const overheadBytes = 128;

function createTestOutboxes(change: Partial<OutboxLimits> = {}) {
  let nowMs = 0;
  let dropped = 0;
  const outboxes = createOutboxes({
    limits: {
      resumeEventsMax: 4,
      resumeBytesMax: 10_000,
      resumeSessionBytesMax: 100_000,
      resumeTotalBytesMax: 1_000_000,
      resumeMs: 1_000,
      ...change,
    },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    metrics: {
      count(_name, _labels, by = 1) {
        dropped += by;
      },
    },
  });
  const sayAll = (outbox: Outbox, texts: readonly string[], stream = outbox.own) => {
    for (const text of texts) outboxes.send(outbox, stream, text);
  };
  const textsAfter = (outbox: Outbox, eventId: string) => {
    const position = outboxes.find(outbox, eventId);
    if (position === undefined) return undefined;
    return [...outboxes.replay(position).matchAll(/^data: (.*)$/gm)].map(([, text]) => text);
  };
  return {
    outboxes,
    sayAll,
    textsAfter,
    dropped: () => dropped,
    pass(ms: number) {
      nowMs += ms;
      outboxes.sweep();
    },
  };
}

test("an id names its stream: what came after it there is replayed, and nothing of other streams", () => {
  const { outboxes, sayAll, textsAfter } = createTestOutboxes();
  const outbox = outboxes.create(tag);
  const first = outboxes.begin(outbox);
  const second = outboxes.begin(outbox);
  sayAll(outbox, ["a1", "a2", "a3"], first);
  sayAll(outbox, ["b1", "b2"], second);
  sayAll(outbox, ["own"]);
  expect(textsAfter(outbox, eventIdOf(tag, first, 1))).toEqual(["a2", "a3"]);
  expect(textsAfter(outbox, eventIdOf(tag, first, 0))).toEqual(["a1", "a2", "a3"]);
  expect(textsAfter(outbox, eventIdOf(tag, second, 2))).toEqual([]);
  expect(textsAfter(outbox, eventIdOf(tag, outbox.own, 0))).toEqual(["own"]);
  const position = outboxes.find(outbox, eventIdOf(tag, second, 1));
  expect(position && outboxes.replay(position)).toBe(`id: ${tag}-2-2\ndata: b2\n\n`);
});

test("TS-10: ids of other sessions, of no stream, from the future and of no shape are nothing here", () => {
  const { outboxes, sayAll, textsAfter } = createTestOutboxes();
  const outbox = outboxes.create(tag);
  const other = outboxes.create("ba9876543210");
  sayAll(outbox, ["mine"]);
  sayAll(other, ["theirs"]);
  const foreign = eventIdOf("ba9876543210", other.own, 0);
  expect(textsAfter(other, foreign)).toEqual(["theirs"]);
  const future = eventIdOf(tag, outbox.own, 2);
  for (const id of [
    foreign,
    future,
    `${tag}-7-0`,
    `${tag}-0`,
    `${tag}-0-0\n`,
    "0",
    "",
    "x".repeat(99),
  ]) {
    expect(textsAfter(outbox, id)).toBeUndefined();
  }
  const withoutIds = outboxes.create(undefined);
  sayAll(withoutIds, ["plain"]);
  expect(textsAfter(withoutIds, `${tag}-0-0`)).toBeUndefined();
  expect(outboxes.replay({ stream: withoutIds.own, after: 0 })).toBe("data: plain\n\n");
});

test("TS-10: a stream keeps so many events and bytes; the oldest go, the last stays however large", () => {
  const { outboxes, sayAll, textsAfter, dropped } = createTestOutboxes();
  const outbox = outboxes.create(tag);
  const stream = outboxes.begin(outbox);
  sayAll(outbox, ["1", "2", "3", "4", "5", "6"], stream);
  expect(textsAfter(outbox, eventIdOf(tag, stream, 0))).toEqual(["3", "4", "5", "6"]);
  expect(dropped()).toBe(2);
  const answer = "x".repeat(20_000);
  sayAll(outbox, [answer], stream);
  expect(textsAfter(outbox, eventIdOf(tag, stream, 0))).toEqual([answer]);
  // Those had been replayed: nobody misses them.
  expect(dropped()).toBe(2);
  outboxes.close(outbox);
  expect(outboxes.bytes()).toBe(0);
});

test("TS-10: a session keeps so many bytes: ended streams go first, the oldest of them first of all", () => {
  const { outboxes, sayAll, textsAfter, dropped } = createTestOutboxes({
    resumeSessionBytesMax: 3_000,
  });
  const outbox = outboxes.create(tag);
  const [first, second, third] = [
    outboxes.begin(outbox),
    outboxes.begin(outbox),
    outboxes.begin(outbox),
  ];
  for (const stream of [second, first]) {
    sayAll(outbox, ["y".repeat(800)], stream);
    outboxes.end(outbox, stream);
  }
  sayAll(outbox, ["z".repeat(1_000)], third);
  expect(textsAfter(outbox, eventIdOf(tag, first, 0))).toBeUndefined();
  expect(textsAfter(outbox, eventIdOf(tag, second, 0))).toHaveLength(1);
  expect(dropped()).toBe(1);
  sayAll(outbox, ["z".repeat(1_000), "z".repeat(1_000)], third);
  expect(textsAfter(outbox, eventIdOf(tag, second, 0))).toBeUndefined();
  expect(textsAfter(outbox, eventIdOf(tag, third, 0))).toHaveLength(2);
  expect(outbox.bytes).toBeLessThanOrEqual(3_000);
});

test("TS-10: the gateway keeps so many bytes, whoever's they are", () => {
  const limit = 3_000;
  const { outboxes, sayAll, textsAfter } = createTestOutboxes({ resumeTotalBytesMax: limit });
  const outbox = outboxes.create(tag);
  const ended = outboxes.begin(outbox);
  sayAll(outbox, ["y".repeat(1_000)], ended);
  outboxes.end(outbox, ended);
  const other = outboxes.create("ba9876543210");
  for (let at = 0; at < 10; at += 1) {
    sayAll(other, ["z".repeat(1_000)]);
    expect(outboxes.bytes()).toBeLessThanOrEqual(limit);
  }
  expect(textsAfter(outbox, eventIdOf(tag, ended, 0))).toBeUndefined();
  outboxes.close(other);
  expect(outboxes.bytes()).toBe(0);
});

test("TS-10: many small streams are bounded, too", () => {
  const { outboxes } = createTestOutboxes({ resumeSessionBytesMax: 10 * overheadBytes });
  const outbox = outboxes.create(tag);
  for (let at = 0; at < 50; at += 1) outboxes.end(outbox, outboxes.begin(outbox));
  expect(outbox.calls?.size).toBeLessThanOrEqual(10);
});

test("an ended stream can be replayed for a while, then it is forgotten", () => {
  const { outboxes, sayAll, textsAfter, pass, dropped } = createTestOutboxes();
  const outbox = outboxes.create(tag);
  const [running, ended] = [outboxes.begin(outbox), outboxes.begin(outbox)];
  sayAll(outbox, ["r"], running);
  sayAll(outbox, ["answer"], ended);
  outboxes.end(outbox, ended);
  sayAll(outbox, ["too late"], ended);
  pass(999);
  expect(textsAfter(outbox, eventIdOf(tag, ended, 0))).toEqual(["answer"]);
  pass(1);
  expect(textsAfter(outbox, eventIdOf(tag, ended, 0))).toBeUndefined();
  expect(textsAfter(outbox, eventIdOf(tag, running, 0))).toEqual(["r"]);
  expect(dropped()).toBe(0);
});

test("on the session's own stream, what was read grows old; what nobody read waits", () => {
  const { outboxes, sayAll, textsAfter, pass, dropped } = createTestOutboxes();
  const outbox = outboxes.create(tag);
  sayAll(outbox, ["read"]);
  expect(textsAfter(outbox, eventIdOf(tag, outbox.own, 0))).toEqual(["read"]);
  sayAll(outbox, ["unread"]);
  pass(5_000);
  expect(textsAfter(outbox, eventIdOf(tag, outbox.own, 0))).toEqual(["unread"]);
  pass(1);
  expect(outboxes.bytes()).toBe(0);
  expect(dropped()).toBe(0);
});

test("an ended session keeps nothing and takes nothing", () => {
  const { outboxes, sayAll } = createTestOutboxes();
  const outbox = outboxes.create(tag);
  const stream = outboxes.begin(outbox);
  sayAll(outbox, ["a"], stream);
  sayAll(outbox, ["b"]);
  outboxes.close(outbox);
  sayAll(outbox, ["c"], stream);
  sayAll(outbox, ["d"]);
  outboxes.end(outbox, stream);
  expect(outboxes.bytes()).toBe(0);
});
