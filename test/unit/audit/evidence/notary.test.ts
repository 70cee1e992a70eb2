/**
 * The notary with the power going between any two steps of its disk: what it signed once, it never contradicts; and
 * when it signs, which clock and counts decide.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { parseCheckpoint } from "../../../../src/audit/evidence/checkpoint.ts";
import { createNotary } from "../../../../src/audit/evidence/notary.ts";
import type { FromNotary } from "../../../../src/audit/evidence/notary-messages.ts";
import { createRightEdge } from "../../../../src/audit/evidence/tree.ts";
import { listSegments } from "../../../../src/audit/spool/files.ts";
import { type BreakingDisk, createBreakingDisk } from "../../../support/breaking-disk.ts";
import { createSpoolFiles } from "../../../support/spool-files.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const dir = "/evidence";
const options = { signAfterMs: 750, retryMs: 0 };

function open(spoolDir: string, disk: BreakingDisk, nowMs: () => number = () => 0, retryMs = 0) {
  const said: FromNotary[] = [];
  const notary = createNotary({
    place: { spoolDir, dir, logId: "log-1" },
    options: { ...options, retryMs },
    disk,
    clock: { nowMs, monotonicMs: nowMs },
    emit: (message) => said.push(message),
  });
  const of = <K extends FromNotary["kind"]>(kind: K) =>
    said.filter((one): one is Extract<FromNotary, { kind: K }> => one.kind === kind);
  return { notary, of };
}

function rootsOf(leaves: readonly string[]): readonly string[] {
  const edge = createRightEdge();
  return [
    "",
    ...leaves.map((leaf) => {
      edge.append(Buffer.from(leaf, "hex"));
      return Buffer.from(edge.root()).toString("hex");
    }),
  ];
}

/** What stands signed on the disk, as a stranger reads it. */
function checkpointOn(disk: BreakingDisk) {
  const bytes = disk.read(`${dir}/checkpoint`);
  if (bytes === undefined) return { size: 0, root: "" };
  const { size, root } = parseCheckpoint(bytes.toString());
  return { size, root: Buffer.from(root).toString("hex") };
}

test("R-16: a crash's unsigned tail is adopted without a step on the disk; those are for the signature", async () => {
  await using folder = temporaryFolder("notary");
  const files = createSpoolFiles(folder.path);
  files.write(40_000);
  const disk = createBreakingDisk(dir);
  const { notary, of } = open(folder.path, disk);
  notary.adopt(40_000);
  expect(of("adopted")).toMatchObject([{ adopted: { size: 40_000 } }]);
  expect(disk.steps()).toBe(0);
  notary.begin(40_000);
  notary.signDue();
  expect(checkpointOn(disk).size).toBe(40_000);
});

describe("ST-12: the power goes", () => {
  test("at every step of tiles and signing: what was signed is gone on from", async () => {
    await using folder = temporaryFolder("notary");
    const files = createSpoolFiles(folder.path);
    files.write(620);
    const roots = rootsOf(files.leaves);
    const run = (disk: BreakingDisk) => {
      const { notary, of } = open(folder.path, disk);
      notary.adopt(0);
      notary.begin(1);
      for (const seq of [1, 100, 255, 256, 400, 520]) {
        notary.noteSynced(seq);
        notary.signDue();
      }
      return of("signed").map(({ size }) => size);
    };
    const whole = createBreakingDisk(dir);
    expect(run(whole)).toEqual([1, 100, 255, 256, 400, 520]);
    for (let step = 1; step <= whole.steps(); step += 1) {
      const disk = createBreakingDisk(dir);
      disk.breakAt(step);
      const told = run(disk).at(-1) ?? 0;
      disk.restart();
      const found = checkpointOn(disk);
      // Nobody was told of a checkpoint that is not there any more.
      expect(found.size).toBeGreaterThanOrEqual(told);
      expect(found.root).toBe(roots[found.size] ?? "none");
      const { notary, of } = open(folder.path, disk);
      notary.adopt(620);
      expect(of("refused")).toEqual([]);
      expect(of("adopted").map(({ adopted }) => [adopted.size, adopted.root])).toEqual([
        [620, roots[620] ?? ""],
      ]);
      notary.begin(620);
      notary.signDue();
      expect(checkpointOn(disk)).toEqual({ size: 620, root: roots[620] ?? "" });
      const { checkpoint } = notary.prove({ seq: 620, oldSize: found.size });
      expect(checkpoint.size).toBe(620);
    }
  });
});

describe("when it signs", () => {
  test("not before its key is certified, then after a moment, however many wait, and never for nothing", async () => {
    await using folder = temporaryFolder("notary-times");
    const files = createSpoolFiles(folder.path);
    files.write(5000);
    let nowMs = 10_000;
    const { notary, of } = open(folder.path, createBreakingDisk(dir), () => nowMs);
    notary.adopt(5);
    expect(notary.dueInMs()).toBeUndefined();
    notary.noteSynced(6);
    expect(notary.dueInMs()).toBeUndefined();
    notary.begin(7);
    expect(notary.dueInMs()).toBe(options.signAfterMs);
    nowMs += 100;
    expect(notary.dueInMs()).toBe(options.signAfterMs - 100);
    nowMs += 1000;
    expect(notary.dueInMs()).toBe(0);
    notary.signDue();
    expect(of("signed").map(({ size }) => size)).toEqual([7]);
    expect(notary.dueInMs()).toBeUndefined();
    notary.noteSynced(2000);
    expect(notary.dueInMs()).toBe(options.signAfterMs);
    nowMs += options.signAfterMs;
    expect(notary.dueInMs()).toBe(0);
    notary.close(5000);
    expect(of("signed").map(({ size }) => size)).toEqual([7, 5000]);
  });

  test("how the life before ended is read from its last record", async () => {
    await using folder = temporaryFolder("notary-previous");
    const files = createSpoolFiles(folder.path);
    const previous = (seq: number) => {
      const { notary, of } = open(folder.path, createBreakingDisk(dir));
      notary.adopt(seq);
      return of("adopted")[0]?.adopted.previous;
    };
    expect(previous(0)).toBe("none");
    files.write(3, "lifecycle.stopped");
    expect(previous(2)).toBe("crashed");
    expect(previous(3)).toBe("closed");
  });
});

describe("ST-14: what it refuses", () => {
  test("a record of another log, and one that does not follow the one before it", async () => {
    for (const [title, spoil, kind] of [
      ["log", (text: string) => text.replaceAll('"log":"log-1"', '"log":"log-2"'), "foreign"],
      ["link", (text: string) => text.replaceAll('"prev":"0000', '"prev":"1000'), "chain"],
    ] as const) {
      await using folder = temporaryFolder(`notary-${title}`);
      const files = createSpoolFiles(folder.path, title === "log" ? "log-2" : "log-1");
      files.write(3);
      const { notary, of } = open(folder.path, createBreakingDisk(dir));
      if (title === "link") respell(folder.path, spoil);
      notary.adopt(3);
      notary.noteSynced(3);
      notary.noteSynced(3);
      // Said once, however often it is met.
      expect(of("refused").map(({ violation }) => [violation.kind, violation.seq])).toEqual([
        [kind, 1],
      ]);
      expect(of("adopted")[0]?.adopted.size).toBe(0);
    }
  });

  test("a checkpoint of more records than there are", async () => {
    await using folder = temporaryFolder("notary-short");
    const files = createSpoolFiles(folder.path);
    files.write(10);
    const disk = createBreakingDisk(dir);
    const first = open(folder.path, disk);
    first.notary.adopt(0);
    first.notary.begin(10);
    first.notary.signDue();
    const { notary, of } = open(folder.path, disk);
    notary.adopt(9);
    expect(of("refused")).toMatchObject([{ violation: { kind: "rolled-back", seq: 10 } }]);
    expect(of("not-adopted").length).toBe(1);
    expect(() => notary.prove({ seq: 1, oldSize: undefined })).toThrow("under no checkpoint yet");
  });
});

/** Writes the records of the first segment anew with other texts, their sums right. */
function respell(spoolDir: string, change: (text: string) => string): void {
  const path = listSegments(spoolDir)[0]?.path ?? "";
  const bytes = Buffer.from(change(readFileSync(path).toString("latin1")), "latin1");
  for (let at = 0; at < bytes.length; ) {
    const end = at + 8 + bytes.readUInt32LE(at);
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, end)), at + 4);
    at = end;
  }
  writeFileSync(path, bytes);
}

describe("what could not be read or signed", () => {
  test("is looked at again by itself, with no further record", async () => {
    await using folder = temporaryFolder("notary-again");
    const files = createSpoolFiles(folder.path);
    files.write(20);
    let nowMs = 0;
    const disk = createBreakingDisk(dir);
    const { notary, of } = open(folder.path, disk, () => nowMs, 5000);
    notary.adopt(0);
    notary.begin(1);
    notary.signDue();
    // The disk takes nothing: what is synced meanwhile is read all the same.
    disk.breakAt(1);
    notary.noteSynced(5);
    notary.signDue();
    expect(of("failed").length).toBe(1);
    notary.noteSynced(10);
    disk.restart();
    expect(notary.dueInMs()).toBe(options.signAfterMs);
    notary.signDue();
    expect(of("signed").map(({ size }) => size)).toEqual([1, 10]);
    // A record that cannot be read: looked at again when it is time, and signed once it is there.
    notary.noteSynced(25);
    expect(of("refused").length).toBe(1);
    notary.signDue();
    expect(notary.dueInMs()).toBe(5000);
    nowMs += 5000;
    expect(notary.dueInMs()).toBe(0);
    files.write(5);
    notary.signDue();
    expect(of("signed").at(-1)?.size).toBe(25);
    expect(notary.dueInMs()).toBeUndefined();
  });
});
