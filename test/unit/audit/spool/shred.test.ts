/** Taking sealed parts out of segments: those of the keys and nothing else, whatever lies around them. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../../../src/audit/spool/disk.ts";
import { listSegments, prepareSpoolDir } from "../../../../src/audit/spool/files.ts";
import { createSpoolReader } from "../../../../src/audit/spool/reader.ts";
import { scanSegment } from "../../../../src/audit/spool/scan.ts";
import { shredSegments } from "../../../../src/audit/spool/shred.ts";
import { takeSteps } from "../../../../src/audit/spool/shred-run.ts";
import { type SealedFrame, secretOf, writeSegment } from "../../../support/sealed-spool.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const ann = "a".repeat(16);
const bob = "b".repeat(16);

function frames(from: number, to: number): readonly SealedFrame[] {
  const seqs = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return seqs.map((seq) => ({ seq, subject: seq % 3 === 0 ? ann : bob }));
}

const unsynced = { sync: () => {}, release: () => {} };
const shred = (dir: string, ...keys: readonly string[]) =>
  takeSteps(realDisk, shredSegments({ disk: realDisk, folder: unsynced, dir }, new Set(keys)));

test("K-12 the frames of the key lose their sealed part, keep their leaf, and the rest stays as it was", async () => {
  await using folder = temporaryFolder("shred");
  const path = writeSegment(folder.path, frames(1, 30));
  utimesSync(path, 1000, 2000);
  const before = scanSegment(readFileSync(path));
  expect(await shred(folder.path, ann)).toBe(10);
  const bytes = readFileSync(path);
  const after = scanSegment(bytes);
  expect(after.damage).toEqual([]);
  expect(after.header).toEqual(before.header);
  expect(after.records.map((one) => one.leaf)).toEqual(before.records.map((one) => one.leaf));
  after.records.forEach((record, index) => {
    const isAnn = (index + 1) % 3 === 0;
    expect(record.details).toBe(isAnn ? "" : (before.records[index]?.details ?? ""));
    expect(bytes.includes(`"${secretOf(index + 1)}"`)).toBe(!isAnn);
  });
  expect(statSync(path).mtimeMs).toBe(2_000_000);
  // A second time there is nothing left to take.
  expect(await shred(folder.path, ann)).toBe(0);
});

test("a class's key takes the frames of every subject", async () => {
  await using folder = temporaryFolder("shred");
  const month = "d".repeat(16);
  writeSegment(folder.path, [
    { seq: 1, subject: ann, class: month },
    { seq: 2, subject: bob, class: month },
    { seq: 3, subject: bob },
  ]);
  expect(await shred(folder.path, month)).toBe(2);
});

test("ST-14 damage stays as it is, and frames beyond it go as well", async () => {
  await using folder = temporaryFolder("shred");
  const path = writeSegment(folder.path, frames(1, 3), "what lies here is damaged");
  expect(await shred(folder.path, ann)).toBe(1);
  const scan = scanSegment(readFileSync(path));
  expect(scan.damage).toHaveLength(1);
  expect(readFileSync(path).includes("what lies here is damaged")).toBe(true);
  expect(scan.records.map((one) => one.details === "")).toEqual([false, false, true]);
});

test("a segment that was removed or begun anew meanwhile stays as it is", async () => {
  await using folder = temporaryFolder("shred");
  const dir = folder.path;
  const path = writeSegment(dir, frames(1, 6));
  const steps = shredSegments({ disk: realDisk, folder: unsynced, dir }, new Set([ann]));
  steps.next();
  // Between its reading and its renaming.
  unlinkSync(path);
  expect(await takeSteps(realDisk, steps)).toBe(0);
  expect(listSegments(dir)).toEqual([]);
  writeSegment(dir, frames(1, 6));
  const again = shredSegments({ disk: realDisk, folder: unsynced, dir }, new Set([ann]));
  again.next();
  renameSync(path, `${path}.before`);
  writeSegment(dir, frames(1, 6));
  expect(await takeSteps(realDisk, again)).toBe(0);
  expect(scanSegment(readFileSync(path)).records.every((one) => one.details !== "")).toBe(true);
  rmSync(path);
  rmSync(`${path}.before`);
  expect(readdirSync(dir)).toEqual([]);
  writeFileSync(join(dir, "0000000000000009.seg.shred.new"), "left by a crash");
  writeSegment(dir, frames(1, 6));
  chmodSync(dir, 0o700);
  prepareSpoolDir(dir);
  expect(readdirSync(dir)).toEqual(["0000000000000001.seg"]);
});

test("K-12 ST-14 what healing kept of a damaged segment is shredded as well", async () => {
  await using folder = temporaryFolder("shred");
  const path = writeSegment(folder.path, frames(1, 6), "damage");
  copyFileSync(path, `${path}.kept`);
  expect(await shred(folder.path, ann)).toBe(4);
  for (const one of [path, `${path}.kept`]) {
    expect(readFileSync(one).includes(`"${secretOf(3)}"`)).toBe(false);
    expect(readFileSync(one).includes("damage")).toBe(true);
  }
});

test("a reader in the middle of a segment that is written anew misses no record and sees none twice", async () => {
  for (let until = 1; until <= 12; until += 1) {
    await using folder = temporaryFolder("shred");
    const dir = folder.path;
    writeSegment(dir, frames(1, 12));
    writeSegment(dir, frames(13, 20));
    const reader = createSpoolReader(dir);
    const seqs = (await reader.read(0, 20, until)).map((one) => one.seq);
    await shred(dir, ann, bob);
    for (let after = until; ; after = seqs.at(-1) ?? 0) {
      const piece = await reader.read(after, 20, 3);
      if (piece.length === 0) break;
      seqs.push(...piece.map((one) => one.seq));
      expect(piece.every((one) => one.details === "")).toBe(true);
    }
    expect(seqs).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    rmSync(dir, { recursive: true });
  }
});
