/** Recovery reads the end of the spool and no more of it, and says what the last record said. */
import { expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../../../src/audit/spool/disk.ts";
import { listSegments, segmentPath } from "../../../../src/audit/spool/files.ts";
import { encodeHeader } from "../../../../src/audit/spool/format.ts";
import { recoverSpool } from "../../../../src/audit/spool/recover.ts";
import { createSpoolFiles } from "../../../support/spool-files.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

/** Recovers and tells which files were read. */
function recover(dir: string) {
  const read: string[] = [];
  const disk = {
    list: realDisk.list,
    read: (path: string) => {
      read.push(path);
      return realDisk.read(path);
    },
  };
  return { ...recoverSpool(disk, dir), read };
}

test("R-16: of a spool of many segments only the newest is read, once", async () => {
  await using folder = temporaryFolder("recover");
  const files = createSpoolFiles(folder.path);
  for (let segment = 0; segment < 20; segment += 1) files.write(30);
  const { read, lastSeq, lastLeaf, lastTimeMs, damage } = recover(folder.path);
  expect(read).toEqual([join(folder.path, "0000000000000571.seg")]);
  expect({ lastSeq, lastLeaf, lastTimeMs, damage }).toEqual({
    lastSeq: 600,
    lastLeaf: files.leaves[599] ?? "",
    lastTimeMs: 1,
    damage: [],
  });
});

test("a segment that holds no record yet tells no time, and one without a header is read with the one before", async () => {
  await using folder = temporaryFolder("recover");
  const files = createSpoolFiles(folder.path);
  for (const count of [30, 30]) files.write(count);
  const prev = files.leaves[59] ?? "";
  const header = { v: 2, log: files.logId, firstSeq: 61, prev, openIntents: [7] } as const;
  appendFileSync(segmentPath(folder.path, 61), encodeHeader(header));
  expect(recover(folder.path)).toMatchObject({
    lastSeq: 60,
    lastTimeMs: undefined,
    openIntents: [7],
  });
  appendFileSync(segmentPath(folder.path, 62), Buffer.alloc(64));
  const { read, lastSeq } = recover(folder.path);
  expect(lastSeq).toBe(60);
  expect(read).toEqual(
    listSegments(folder.path)
      .slice(2)
      .map(({ path }) => path)
      .toReversed(),
  );
});
