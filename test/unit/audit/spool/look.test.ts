/** Looking for what lies under keys: in pages, of which none is too large and which together hold each record once. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { realDisk } from "../../../../src/audit/spool/disk.ts";
import { findSealed } from "../../../../src/audit/spool/look.ts";
import { createSpoolReader } from "../../../../src/audit/spool/reader.ts";
import { scanSegment } from "../../../../src/audit/spool/scan.ts";
import { shredSegments } from "../../../../src/audit/spool/shred.ts";
import { takeSteps } from "../../../../src/audit/spool/shred-run.ts";
import { type SealedFrame, writeSegment } from "../../../support/sealed-spool.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const ann = "a".repeat(16);
const bob = "b".repeat(16);
const month = "d".repeat(16);
const unsynced = { sync: () => {}, release: () => {} };

/** Every third is Ann's. */
function frames(from: number, to: number): readonly SealedFrame[] {
  const seqs = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return seqs.map((seq) => ({ seq, subject: seq % 3 === 0 ? ann : bob }));
}

const shred = (dir: string, key: string) =>
  takeSteps(realDisk, shredSegments({ disk: realDisk, folder: unsynced, dir }, new Set([key])));

/** Looks page by page; `between` is what happens after each. */
async function look(
  dir: string,
  key: string,
  { framesMax = 100, untilSeq = 100, between = async (_page: number) => {} } = {},
) {
  const reader = createSpoolReader(dir);
  const pages: (readonly { readonly seq: number; readonly leaf: string }[])[] = [];
  for (let afterSeq = 0; afterSeq < untilSeq; ) {
    const page = await findSealed(reader, new Set([key]), { afterSeq, untilSeq, framesMax });
    expect(page.seq).toBeGreaterThan(afterSeq);
    afterSeq = page.seq;
    pages.push(page.found);
    await between(pages.length);
  }
  expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(framesMax);
  return pages.flat();
}

test("PV-01 what the key's frames are is told beforehand, with the leaves they have, whatever a page holds", async () => {
  await using folder = temporaryFolder("look");
  const dir = folder.path;
  const path = writeSegment(dir, frames(1, 12), "what lies here is damaged");
  const leaves = new Map(
    scanSegment(readFileSync(path)).records.map((one) => [JSON.parse(one.envelope).seq, one.leaf]),
  );
  const sealed = [3, 6, 9, 12].map((seq) => ({ seq, leaf: leaves.get(seq) ?? "" }));
  for (let framesMax = 1; framesMax <= 13; framesMax += 1) {
    expect(await look(dir, ann, { framesMax })).toEqual(sealed);
  }
  expect(await look(dir, ann, { untilSeq: 9 })).toEqual(sealed.slice(0, 3));
  expect(await shred(dir, ann)).toBe(4);
  expect(await look(dir, ann)).toEqual([]);
});

test("a class's key finds the frames of every subject", async () => {
  await using folder = temporaryFolder("look");
  writeSegment(folder.path, [
    { seq: 1, subject: ann, class: month },
    { seq: 2, subject: bob, class: month },
    { seq: 3, subject: bob },
  ]);
  expect((await look(folder.path, month)).map(({ seq }) => seq)).toEqual([1, 2]);
});

test("ST-14 what a poisoned segment shares with its successor is found once", async () => {
  await using folder = temporaryFolder("look");
  writeSegment(folder.path, frames(1, 9));
  writeSegment(folder.path, frames(5, 14));
  for (let framesMax = 1; framesMax <= 6; framesMax += 1) {
    const found = await look(folder.path, ann, { framesMax });
    expect(found.map(({ seq }) => seq)).toEqual([3, 6, 9, 12]);
  }
});

test("PV-01 segments that end, go or are written anew between two pages hide no record and show none twice", async () => {
  // Long enough that a page ends in the middle of a segment, and its reading too.
  const segments = [frames(1, 2_000), frames(2_001, 4_000), frames(4_001, 6_000)];
  const untilSeq = 6_000;
  const all = Array.from({ length: untilSeq / 3 }, (_, index) => 3 * (index + 1));
  const upsets: Readonly<Record<string, (dir: string, paths: readonly string[]) => unknown>> = {
    ended: (dir) => writeSegment(dir, frames(6_001, 6_100)),
    shredded: (dir) => shred(dir, bob),
    removed: (_dir, paths) => rmSync(paths[0] ?? ""),
  };
  for (const [name, upset] of Object.entries(upsets)) {
    for (const at of [1, 3, 4, 7, 11]) {
      await using folder = temporaryFolder("look");
      const paths = segments.map((one) => writeSegment(folder.path, one));
      const found = await look(folder.path, ann, {
        ...{ framesMax: 600, untilSeq },
        between: async (page) => void (page === at && (await upset(folder.path, paths))),
      });
      const seqs = found.map(({ seq }) => seq);
      expect(new Set(seqs).size).toBe(seqs.length);
      // What is gone with its segment has to be swept no more; all else is there.
      const isHere = name === "removed" ? (seq: number) => seq > 2_000 : () => true;
      expect(seqs.filter(isHere)).toEqual(all.filter(isHere));
    }
  }
});
