/**
 * One sink's feed on a real spool: everything arrives in order and at least once, a sink that fails holds up nobody
 * but itself, and what it will never have is said in it.
 */
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createSinkCursor } from "../../../../src/audit/sinks/cursor.ts";
import {
  defaultFeedOptions,
  type FeedChange,
  startFeed,
} from "../../../../src/audit/sinks/feed.ts";
import {
  type Sink,
  SinkBusy,
  type SinkLine,
  SinkRefusal,
} from "../../../../src/audit/sinks/sink.ts";
import { listSegments } from "../../../../src/audit/spool/files.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { until } from "../../../support/deadline.ts";
import { openSpooledLog, type SpooledLog } from "../../../support/spooled-log.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function start(
  log: SpooledLog,
  write: Sink["write"],
  { isAcknowledged = true, saveIntervalMs = 5 } = {},
) {
  const changes: FeedChange[] = [];
  let opened = 0;
  const cursor = createSinkCursor(join(log.dataDir, "sinks", "test.cursor"));
  const feed = startFeed({
    spoolDir: log.spoolDir,
    logId: log.logId,
    open: () => {
      opened += 1;
      return { isAcknowledged, write, settle: async () => {}, close: async () => {} };
    },
    cursor,
    clock: systemClock,
    options: {
      ...defaultFeedOptions,
      batchMax: 4,
      deadlineMs: 300,
      backoffMinMs: 2,
      backoffMaxMs: 20,
      saveIntervalMs,
    },
    changed: (change) => changes.push(change),
  });
  cleanups.push(() => feed.stop());
  feed.advance(log.syncedSeq());
  return { feed, changes, cursor, opened: () => opened };
}

async function openLog(options = {}): Promise<SpooledLog> {
  const log = await openSpooledLog(options);
  cleanups.push(() => log[Symbol.asyncDispose]());
  return log;
}

const many = (count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => ({ note: `n${from + index}` }));
const seqsOf = (lines: readonly SinkLine[]) => lines.map((line) => line.seq);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test("every record arrives once and in order; after a new start only what is new", async () => {
  const log = await openLog();
  await log.append(...many(10));
  const got: SinkLine[] = [];
  const take = async (lines: readonly SinkLine[]) => void got.push(...lines);
  const first = start(log, take);
  await until("all arrived", () => first.feed.status().deliveredSeq === 10);
  await first.feed.stop();
  expect(seqsOf(got)).toEqual(upTo(10));
  expect(first.cursor.load()).toEqual({ log: log.logId, seq: 10 });
  await log.append(...many(3, 11));
  const second = start(log, take);
  await until("the rest arrived", () => second.feed.status().deliveredSeq === 13);
  expect(seqsOf(got)).toEqual(upTo(13));
});

test("D04: a sink that is away is tried again, said once, and gets everything when it is back", async () => {
  const log = await openLog();
  await log.append(...many(6));
  const got: SinkLine[] = [];
  let isAway = true;
  const { feed, changes, opened } = start(log, async (lines) => {
    if (isAway) throw new Error("away");
    got.push(...lines);
  });
  await until("it was tried again", () => feed.status().failures >= 3);
  expect(feed.status().isDown).toBe(true);
  isAway = false;
  await until("all arrived", () => feed.status().deliveredSeq === 6);
  await until("it is up", () => !feed.status().isDown);
  expect(seqsOf(got)).toEqual(upTo(6));
  expect(changes.map((change) => change.kind)).toEqual(["down", "up"]);
  expect(opened()).toBeGreaterThanOrEqual(3);
});

test("a sink that never ends is given up after its deadline", async () => {
  const log = await openLog();
  await log.append(...many(1));
  const { feed, changes } = start(log, () => new Promise(() => {}));
  await until("it counts as down", () => feed.status().isDown);
  expect(changes[0]).toMatchObject({ kind: "down", reason: "no end within 300 ms" });
});

test("without acknowledgement a failure goes back to the last place kept: at least once", async () => {
  const log = await openLog();
  await log.append(...many(9));
  const got: SinkLine[] = [];
  let writes = 0;
  const { feed } = start(
    log,
    async (lines) => {
      writes += 1;
      if (writes === 2) throw new Error("the connection broke");
      got.push(...lines);
    },
    { isAcknowledged: false, saveIntervalMs: 60_000 },
  );
  await until("all arrived", () => feed.status().deliveredSeq === 9);
  expect(new Set(seqsOf(got))).toEqual(new Set(upTo(9)));
  expect(seqsOf(got).slice(0, 5)).toEqual([1, 2, 3, 4, 1]);
});

test("segments that went before the sink read them are a gap with its count", async () => {
  const log = await openLog({ segmentBytesMax: 2000 });
  await log.append(...many(5));
  const got: SinkLine[] = [];
  let isAway = false;
  const { feed, changes } = start(log, async (lines) => {
    if (isAway) throw new Error("away");
    got.push(...lines);
  });
  await until("the first arrived", () => feed.status().deliveredSeq === 5);
  isAway = true;
  await log.append(...many(20, 6));
  feed.advance(log.syncedSeq());
  await until("it is down", () => feed.status().isDown);
  const segments = listSegments(log.spoolDir);
  const kept = segments.at(-1)?.firstSeq ?? 0;
  for (const { path } of segments.slice(0, -1)) rmSync(path);
  expect(kept).toBeGreaterThan(7);
  isAway = false;
  await until("all arrived", () => feed.status().deliveredSeq === 25);
  const gap = got.find((line) => line.eventType === "audit_gap") as SinkLine;
  // What was read before the segments went is delivered; the gap begins behind it.
  const from = got.indexOf(gap) + 1;
  expect(from).toBeGreaterThanOrEqual(6);
  expect(from).toBeLessThan(kept);
  const count = kept - from;
  expect(JSON.parse(gap.text)).toMatchObject({ from, count, reason: "removed" });
  expect(seqsOf(got.slice(0, from - 1))).toEqual(upTo(from - 1));
  expect(seqsOf(got.slice(from))).toEqual(upTo(25).slice(kept - 1));
  expect(feed.status().skipped).toBe(count);
  expect(changes.filter((change) => change.kind === "gap")).toHaveLength(1);
});

test("a record the receiver will never take is replaced by a gap, and the others arrive", async () => {
  const log = await openLog();
  await log.append(...many(4));
  const got: SinkLine[] = [];
  const { feed } = start(log, async (lines) => {
    if (lines.some((line) => line.text.includes('"n2"'))) throw new SinkRefusal("no");
    got.push(...lines);
  });
  await until("all arrived", () => feed.status().deliveredSeq === 4);
  expect(got.map((line) => `${line.eventType} ${line.seq}`)).toEqual([
    "mcp_request 1",
    "audit_gap 2",
    "mcp_request 3",
    "mcp_request 4",
  ]);
  expect(feed.status()).toMatchObject({ skipped: 1, failures: 0 });
});

test("a receiver that is busy is not a failure for ever", async () => {
  const log = await openLog();
  await log.append(...many(1));
  let asked = 0;
  const { feed } = start(log, async () => {
    asked += 1;
    if (asked === 1) throw new SinkBusy("later", 5);
  });
  await until("it arrived", () => feed.status().deliveredSeq === 1);
  expect(asked).toBe(2);
});

test("after the log was begun anew the sink is told that the old one ended (ST-16)", async () => {
  const log = await openLog();
  const cursor = createSinkCursor(join(log.dataDir, "sinks", "test.cursor"));
  cursor.save({ log: "00000000-0000-4000-8000-000000000000", seq: 70 });
  await log.append(...many(2));
  const got: SinkLine[] = [];
  const { feed } = start(log, async (lines) => void got.push(...lines));
  await until("all arrived", () => feed.status().deliveredSeq === 2);
  expect(JSON.parse(got[0]?.text ?? "{}")).toMatchObject({ from: 71, reason: "log-ended" });
  expect(seqsOf(got.slice(1))).toEqual([1, 2]);
});

test("a cursor that is none stops the sink with a reason, and delivers nothing", async () => {
  const log = await openLog();
  await log.append(...many(1));
  const { feed } = start(log, async () => {});
  await until("it arrived", () => feed.status().deliveredSeq === 1);
  await feed.stop();
  await Bun.write(join(log.dataDir, "sinks", "test.cursor"), "seven");
  const again = start(log, async () => {});
  await until("it says why", () => again.changes.length > 0);
  expect(JSON.stringify(again.changes[0])).toContain("is no cursor");
  expect(again.feed.status().deliveredSeq).toBe(0);
});
