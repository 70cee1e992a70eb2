/**
 * One open segment file and the system calls on it, behind a seam narrow enough for tests to break each of them.
 * Used by the writer alone. A segment is `.new` until its first bytes are synced, so one under its final name
 * always has a sound header.
 */
import * as fs from "node:fs";
import { segmentPath, syncDir, unfinishedSuffix } from "./files.ts";

/** The calls that can fail on a sick disk. */
export interface SpoolDisk {
  write(fd: number, bytes: Uint8Array, from: number, length: number, position: number): number;
  truncate(fd: number, length: number): void;
  /** Off the thread, so records that only need to be written do not wait behind it. */
  sync(fd: number, done: (error: Error | null) => void): void;
  syncNow(fd: number): void;
}

export const realDisk: SpoolDisk = {
  write: (fd, bytes, from, length, position) => fs.writeSync(fd, bytes, from, length, position),
  truncate: (fd, length) => fs.ftruncateSync(fd, length),
  sync: (fd, done) => fs.fdatasync(fd, done),
  syncNow: (fd) => fs.fdatasyncSync(fd),
};

export interface OpenSegment {
  readonly fd: number;
  readonly firstSeq: number;
  size: number;
  isSyncing: boolean;
  isRetired: boolean;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

/** Makes a segment holding `opening` (header first), durable before it gets its name. */
export function createSegment(
  disk: SpoolDisk,
  dir: string,
  firstSeq: number,
  opening: readonly Uint8Array[],
): OpenSegment {
  const path = segmentPath(dir, firstSeq);
  const unfinished = path + unfinishedSuffix;
  fs.rmSync(unfinished, { force: true });
  const fd = fs.openSync(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  const segment = { fd, firstSeq, size: 0, isSyncing: false, isRetired: false };
  try {
    for (const bytes of opening) writeFully(disk, segment, bytes, bytes.length);
    disk.syncNow(fd);
    // Replaces a poisoned segment of the same name, none of whose own records was ever synced there.
    fs.renameSync(unfinished, path);
    syncDir(dir);
    return segment;
  } catch (error) {
    fs.closeSync(fd);
    fs.rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Opens a recovered segment, cuts its torn tail and makes sure that what was read back is really on the disk. */
export function reopenSegment(path: string, firstSeq: number, soundEnd: number): OpenSegment {
  const fd = fs.openSync(path, O_WRONLY | O_NOFOLLOW);
  fs.ftruncateSync(fd, soundEnd);
  fs.fsyncSync(fd);
  return { fd, firstSeq, size: soundEnd, isSyncing: false, isRetired: false };
}

/** Writes all of it or nothing: what a failed write left behind is cut back (ST-07). */
export function writeFully(
  disk: SpoolDisk,
  segment: OpenSegment,
  bytes: Uint8Array,
  length: number,
): void {
  let written = 0;
  try {
    while (written < length) {
      const count = disk.write(
        segment.fd,
        bytes,
        written,
        length - written,
        segment.size + written,
      );
      if (count === 0) throw new Error("the disk took no bytes");
      written += count;
    }
  } catch (error) {
    disk.truncate(segment.fd, segment.size);
    throw error;
  }
  segment.size += length;
}

/** Closes the file, now or when the sync under way on it ends. */
export function retireSegment(segment: OpenSegment): void {
  segment.isRetired = true;
  if (segment.isSyncing) return;
  try {
    fs.closeSync(segment.fd);
  } catch {
    // What had to be durable was synced before; a file that will not close is not used again.
  }
}
