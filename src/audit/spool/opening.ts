/**
 * What is done with a recovered spool before anything is written to it: damage is marked, what was read back is made
 * sure of, and the newest segment is opened to be written on where it can be. Used by the writer.
 */
import { basename, dirname, join } from "node:path";
import type { SpoolDisk, SpoolFolder } from "./disk.ts";
import { damagedMark } from "./files.ts";
import type { ActiveSegment, Recovered, SpoolDamage } from "./recover.ts";
import { type OpenSegment, openedAt, writeAt } from "./segment.ts";

/** The segment to go on writing; undefined where a new one must be begun. */
export function reopenSpool(
  disk: SpoolDisk,
  folder: SpoolFolder,
  dir: string,
  recovered: Recovered,
): OpenSegment | undefined {
  if (recovered.damage.length > 0) markDamaged(disk, dir, recovered.damage);
  const segment = recovered.active && secure(disk, recovered.active, recovered.lastSeq + 1);
  // The crash may have come between a segment's getting its name and the sync of that name.
  folder.sync();
  return segment;
}

function markDamaged(disk: SpoolDisk, dir: string, damage: readonly SpoolDamage[]): void {
  const names = disk.list(dir);
  const damaged = damage.filter(({ kind }) => kind !== "torn").map((one) => one.segment);
  for (const path of new Set(damaged)) {
    const mark = damagedMark(path);
    if (!names.some((name) => mark.endsWith(`/${name}`))) disk.close(disk.create(mark));
  }
}

/**
 * Makes sure that what was read back is really on the disk. It is written once more, because after a sync that failed
 * in an earlier life the next one succeeds without having written anything.
 */
function secure(disk: SpoolDisk, active: ActiveSegment, nextSeq: number): OpenSegment | undefined {
  const { path, firstSeq, soundEnd, unsure, unsureFrom, goesOn } = active;
  const fd = disk.open(path);
  try {
    if (goesOn) disk.truncate(fd, soundEnd);
    writeAt(disk, fd, unsure, unsureFrom);
    disk.syncNow(fd);
    if (goesOn) return openedAt(fd, firstSeq, soundEnd);
  } catch (error) {
    disk.close(fd);
    throw error;
  }
  disk.close(fd);
  if (firstSeq === nextSeq) keepAside(disk, active);
  return undefined;
}

/** Nothing in it counts, and its successor takes its name: what it holds is kept under another. */
function keepAside(disk: SpoolDisk, { path, bytes }: ActiveSegment): void {
  const dir = dirname(path);
  const name = `${basename(path)}.cut`;
  if (disk.list(dir).includes(name)) return;
  const fd = disk.create(join(dir, name));
  try {
    writeAt(disk, fd, bytes, 0);
    disk.syncNow(fd);
  } finally {
    disk.close(fd);
  }
}
