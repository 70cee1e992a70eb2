/**
 * One open segment file, as the writer alone uses it. A segment is `.new` until its first bytes are synced, so one
 * under its final name always has a sound header. Its room is written ahead with zeros, because a sync into room that
 * the file already has costs half of one that makes the file longer, and because a disk that is full says so early.
 */
import type { SpoolDisk, SpoolFolder } from "./disk.ts";
import { listSegments, segmentPath } from "./files.ts";
import { encodeMark } from "./format.ts";
import type { Spare } from "./spare.ts";

export interface OpenSegment {
  readonly fd: number;
  readonly firstSeq: number;
  /** Where the records end. */
  size: number;
  /** Where the room written ahead ends; never below `size`. */
  roomEnd: number;
  isSyncing: boolean;
  isRetired: boolean;
  /** What a failed write left behind could not be cut back: nothing more may be written here. */
  isSpoilt: boolean;
}

/** How much room is written ahead at a time: the next sync waits for it too, two milliseconds for a mebibyte. */
const roomBytes = 256 * 1024;
/** Less room than this left: more is written ahead. */
const roomBytesMin = 256 * 1024;
/** Share of the free room that is written ahead at most. */
const freeShare = 16;
const zeros = new Uint8Array(roomBytes);

/** Writes `opening` (header first) into the spare file and makes it durable before it gets its name. */
export function createSegment(
  disk: SpoolDisk,
  folder: SpoolFolder,
  dir: string,
  request: {
    readonly spare: Spare;
    readonly firstSeq: number;
    readonly opening: readonly Uint8Array[];
    readonly bytesMax: number;
  },
): OpenSegment {
  const { spare, firstSeq, opening, bytesMax } = request;
  const file = spare.take();
  const segment = openedAt(file.fd, firstSeq, 0);
  try {
    for (const bytes of opening) writeFully(disk, segment, bytes, bytes.length);
    tryWriteAhead(disk, dir, segment, bytesMax);
    disk.syncNow(file.fd);
    // Replaces a poisoned segment of the same name, none of whose own records was ever synced there.
    disk.rename(file.path, segmentPath(dir, firstSeq));
    folder.sync();
    return segment;
  } catch (error) {
    spare.discard(file);
    throw error;
  }
}

/** What opens a segment has its place; how much more room there is will show when it is needed. */
function tryWriteAhead(disk: SpoolDisk, dir: string, segment: OpenSegment, bytesMax: number): void {
  try {
    writeAhead(disk, dir, segment, bytesMax);
  } catch {}
}

export function openedAt(fd: number, firstSeq: number, size: number): OpenSegment {
  const flags = { isSyncing: false, isRetired: false, isSpoilt: false };
  return { fd, firstSeq, size, roomEnd: size, ...flags };
}

/** Writes all of it or nothing: what a failed write left behind is cut back (ST-07). */
export function writeFully(
  disk: SpoolDisk,
  segment: OpenSegment,
  bytes: Uint8Array,
  length: number,
): void {
  try {
    writeAt(disk, segment.fd, bytes.subarray(0, length), segment.size);
  } catch (error) {
    cutBack(disk, segment);
    throw error;
  }
  segment.size += length;
  segment.roomEnd = Math.max(segment.roomEnd, segment.size);
}

export function writeAt(disk: SpoolDisk, fd: number, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    const count = disk.write(fd, bytes, written, bytes.length - written, position + written);
    if (count === 0) throw new Error("the disk took no bytes");
    written += count;
  }
}

/** Makes room for what comes next, up to the size a segment may have. Throws where the disk has none. */
export function writeAhead(
  disk: SpoolDisk,
  dir: string,
  segment: OpenSegment,
  bytesMax: number,
): void {
  if (segment.roomEnd - segment.size >= roomBytesMin || segment.roomEnd >= bytesMax) return;
  // On a small disk what is left is for records, not for zeros.
  const piece = Math.min(roomBytes, Math.floor(disk.free(dir) / freeShare));
  const wanted = Math.min(segment.roomEnd + piece, bytesMax);
  if (wanted <= segment.roomEnd) return;
  try {
    writeAt(disk, segment.fd, zeros.subarray(0, wanted - segment.roomEnd), segment.roomEnd);
  } catch (error) {
    cutBack(disk, segment);
    throw error;
  }
  segment.roomEnd = wanted;
}

function cutBack(disk: SpoolDisk, segment: OpenSegment): void {
  try {
    cutToSize(disk, segment);
  } catch {
    segment.isSpoilt = true;
  }
}

/** Gives back the room that was not used. */
export function cutToSize(disk: SpoolDisk, segment: OpenSegment): void {
  disk.truncate(segment.fd, segment.size);
  segment.roomEnd = segment.size;
}

/** A log that was closed says so of all its records: none of them can be taken for a torn tail. */
export function markEnd(disk: SpoolDisk, segment: OpenSegment, syncedSeq: number): void {
  const mark = encodeMark(syncedSeq);
  writeFully(disk, segment, mark, mark.length);
  disk.syncNow(segment.fd);
}

/** Closes the file, now or when the sync under way on it ends. */
export function retireSegment(disk: SpoolDisk, segment: OpenSegment): void {
  segment.isRetired = true;
  if (segment.isSyncing) return;
  try {
    disk.close(segment.fd);
  } catch {
    // What had to be durable was synced before; a file that will not close is not used again.
  }
}

/**
 * Bytes of records in the folder; the room written ahead in the active segment is not counted. Undefined where the
 * folder cannot be read, as without a file descriptor.
 */
export function sumSegments(
  disk: SpoolDisk,
  dir: string,
  active: OpenSegment | undefined,
): number | undefined {
  try {
    return listSegments(dir, disk.list(dir)).reduce((sum, { path, firstSeq }) => {
      return sum + (firstSeq === active?.firstSeq ? active.size : disk.size(path));
    }, 0);
  } catch {
    return undefined;
  }
}

/** Deletes a segment, unless it is the newest one. */
export function removeSegment(
  disk: SpoolDisk,
  folder: SpoolFolder,
  dir: string,
  firstSeq: number,
): void {
  const older = listSegments(dir, disk.list(dir)).slice(0, -1);
  if (older.some((one) => one.firstSeq === firstSeq)) disk.unlink(segmentPath(dir, firstSeq));
  folder.sync();
}
