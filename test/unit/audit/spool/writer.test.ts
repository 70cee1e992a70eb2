/** The writer on a disk that fails in one chosen call: nothing acknowledged is lost, no number is used twice. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realDisk, type SpoolDisk } from "../../../../src/audit/spool/disk.ts";
import { listSegments } from "../../../../src/audit/spool/files.ts";
import {
  type FromSpool,
  type RecordMark,
  renderLines,
} from "../../../../src/audit/spool/messages.ts";
import { openSpoolWriter } from "../../../../src/audit/spool/writer.ts";
import { verifySpool } from "../../../../src/audit/verify/verify.ts";
import { until } from "../../../support/deadline.ts";
import { createSampleSealer } from "../../../support/sealing.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function makeDir(): string {
  const dir = join(mkdtempSync(join(tmpdir(), "spool-")), "spool");
  cleanups.push(() => rmSync(join(dir, ".."), { recursive: true, force: true }));
  return dir;
}

/** A disk whose syncs end when the test says so. */
function openOn(dir: string, broken: Partial<SpoolDisk> = {}, segmentBytesMax = 1_000_000) {
  const messages: FromSpool[] = [];
  const syncs: ((error: Error | null) => void)[] = [];
  const disk = {
    ...realDisk,
    sync: (_fd: number, done: (typeof syncs)[number]) => syncs.push(done),
  };
  const writer = openSpoolWriter({
    dir,
    logId: "log-1",
    disk: { ...disk, ...broken },
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    sealer: createSampleSealer(),
    emit: (message) => messages.push(message),
    options: { segmentBytesMax, reserveBytesMax: 0, probeIntervalMs: 500 },
  });
  const kinds = () => messages.map((message) => message.kind);
  return { writer, messages, kinds, syncs };
}

function batch(count: number, mark: RecordMark = "!"): string {
  const body = '"time":1,"event":"admin.change","class":"A","facts":{}';
  const lines = renderLines(mark, 0, { body, values: "{}" });
  return Array.from({ length: count }, () => lines).join("\n");
}

test("what arrives during a sync forms the next group", () => {
  const { writer, messages, syncs } = openOn(makeDir());
  writer.append(batch(1));
  writer.append(batch(2));
  writer.append(batch(3));
  expect(syncs).toHaveLength(1);
  syncs[0]?.(null);
  expect(messages.at(-1)).toMatchObject({ kind: "synced", seq: 1 });
  expect(syncs).toHaveLength(2);
  syncs[1]?.(null);
  expect(messages.at(-1)).toMatchObject({ kind: "synced", seq: 6 });
  expect(syncs).toHaveLength(2);
  writer.close();
});

test("a batch says whether somebody may wait for no more than that it is written", () => {
  const { writer, messages } = openOn(makeDir());
  for (const [mark, isAwaited] of [
    ["!", false],
    ["i", true],
  ] as const) {
    writer.append(batch(2, mark));
    expect(messages.at(-1)).toMatchObject({ kind: "written", count: 2, isAwaited });
  }
  writer.append([batch(1, "!"), batch(1, "i")].join("\n"));
  expect(messages.at(-1)).toMatchObject({ kind: "written", count: 2, isAwaited: true });
  writer.close();
});

test("ST-07 a short write on a full disk is cut back and its records are not in the log", () => {
  const dir = makeDir();
  let isFull = false;
  const { writer, messages } = openOn(dir, {
    write: (fd, bytes, from, length, position) => {
      if (!isFull) return realDisk.write(fd, bytes, from, Math.min(length, 100), position);
      if (from > 0) throw Object.assign(new Error("full"), { code: "ENOSPC" });
      return realDisk.write(fd, bytes, from, 50, position);
    },
  });
  writer.append(batch(2));
  isFull = true;
  writer.append(batch(2));
  expect(messages.at(-1)).toEqual({ kind: "unwritten", count: 2, reason: "ENOSPC" });
  isFull = false;
  writer.append(batch(1));
  expect(messages.at(-1)).toEqual({ kind: "written", firstSeq: 3, count: 1, isAwaited: false });
  writer.close();
  expect(verifySpool(dir)).toMatchObject({ ok: true, records: 3 });
});

test("ST-09 a failed sync poisons the segment; its records open the next one under their numbers", () => {
  const dir = makeDir();
  const { writer, messages, syncs } = openOn(dir);
  writer.append(batch(2));
  syncs[0]?.(null);
  writer.append(batch(2));
  writer.append(batch(1));
  syncs[1]?.(Object.assign(new Error("EIO"), { code: "EIO" }));
  expect(messages.at(-1)).toEqual({ kind: "unsynced", seq: 5, reason: "EIO" });
  expect(syncs).toHaveLength(2);
  writer.append(batch(1));
  expect(messages.at(-2)).toMatchObject({ kind: "synced", seq: 5 });
  expect(messages.at(-1)).toEqual({ kind: "written", firstSeq: 6, count: 1, isAwaited: false });
  writer.close();
  expect(listSegments(dir).map((one) => one.firstSeq)).toEqual([1, 3]);
  expect(verifySpool(dir)).toMatchObject({ ok: true, records: 6 });
});

test("ST-09 a first sync that fails replaces the segment by one of the same name", () => {
  const dir = makeDir();
  const { writer, syncs } = openOn(dir);
  writer.append(batch(2));
  syncs[0]?.(new Error("EIO"));
  writer.append(batch(1));
  writer.close();
  expect(listSegments(dir).map((one) => one.firstSeq)).toEqual([1]);
  expect(verifySpool(dir)).toMatchObject({ ok: true, records: 3 });
});

test("a new segment that cannot be made refuses the batch and is tried again", () => {
  const dir = makeDir();
  let isBroken = false;
  const { writer, messages } = openOn(
    dir,
    {
      syncNow: (fd) => {
        if (isBroken) throw new Error("broken");
        realDisk.syncNow(fd);
      },
    },
    1,
  );
  writer.append(batch(1));
  isBroken = true;
  writer.append(batch(1));
  expect(messages.at(-1)).toEqual({ kind: "unwritten", count: 1, reason: "broken" });
  isBroken = false;
  writer.append(batch(1));
  writer.close();
  expect(verifySpool(dir)).toMatchObject({ ok: true, records: 2 });
});

test("a rolled segment's header carries the open intents, so recovery reads no older one", () => {
  const dir = makeDir();
  const first = openOn(dir, {}, 1);
  first.writer.append(batch(1, "!i"));
  first.writer.append(batch(1));
  first.writer.append(batch(1));
  first.writer.close();
  const second = openOn(dir);
  expect(second.messages[0]).toMatchObject({ kind: "opened", lastSeq: 3, openIntents: [1] });
  second.writer.close();
});

test("ST-09 a full segment waits for the sync under way: its failure is told to that sync alone", () => {
  const dir = makeDir();
  const { writer, messages, syncs } = openOn(dir, {}, 2_000);
  writer.append(batch(1));
  writer.append(batch(10));
  expect(messages.some((message) => message.kind === "synced")).toBe(false);
  syncs[0]?.(new Error("EIO"));
  expect(messages.at(-1)).toMatchObject({ kind: "unsynced", seq: 11 });
  expect(messages.some((message) => message.kind === "synced")).toBe(false);
  writer.close();
  expect(verifySpool(dir)).toMatchObject({ ok: true, records: 11 });
});

test("a segment that cannot be removed is told and costs nothing else", () => {
  const dir = makeDir();
  const { writer, messages, kinds } = openOn(dir, {}, 1);
  writer.append(batch(1));
  writer.append(batch(1));
  rmSync(listSegments(dir)[0]?.path ?? "");
  mkdirSync(join(dir, "0000000000000001.seg"));
  writer.remove(1);
  expect(messages.at(-1)).toMatchObject({ kind: "not-removed", firstSeq: 1 });
  writer.append(batch(1));
  expect(kinds()).not.toContain("unwritten");
  rmdirSync(join(dir, "0000000000000001.seg"));
  writer.close();
});

test("only older segments can be removed", () => {
  const dir = makeDir();
  const { writer } = openOn(dir, {}, 1);
  writer.append(batch(1));
  writer.append(batch(1));
  writer.remove(2);
  writer.remove(1);
  writer.close();
  expect(listSegments(dir).map((one) => one.firstSeq)).toEqual([2]);
});

test("what only had to be written is synced with what somebody waits for, or a moment later by itself", async () => {
  const { writer, kinds, syncs } = openOn(makeDir());
  writer.append(batch(1, "i"));
  expect(kinds()).toEqual(["opened", "written"]);
  expect(syncs).toHaveLength(0);
  writer.append(batch(1));
  expect(syncs).toHaveLength(1);
  syncs[0]?.(null);
  writer.append(batch(1, ""));
  expect(syncs).toHaveLength(1);
  await until("a sync of its own", () => syncs.length === 2);
  writer.close();
});
