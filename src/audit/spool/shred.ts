/**
 * Takes sealed parts out of closed segments: the frames whose second part lies under one of the given keys keep
 * envelope and leaf and lose the rest. A segment is written anew beside itself, synced and renamed, so a crash leaves the
 * old one or the new one; nothing else about it changes, not even its age. A piece at a time between records: each flow
 * here is a generator that says what it waits for, and `shred-run.ts` (or a simulation) takes its steps.
 */
import { join } from "node:path";
import type { SpoolDisk, SpoolFolder } from "./disk.ts";
import { keptSuffix, listSegments, unfinishedSuffix } from "./files.ts";
import { decodePlace, type FramePlace, writeEmptied } from "./format.ts";
import { findNextFrame } from "./scan.ts";
import { writeAt } from "./segment.ts";

/** A turn of the thread, or the sync of a file. */
export type ShredStep = "turn" | { readonly fd: number };

export interface ShredPlace {
  readonly disk: SpoolDisk;
  readonly folder: SpoolFolder;
  readonly dir: string;
}

/** A file that was a closed segment when it was listed; another file may have its name since. */
interface ClosedSegment {
  readonly path: string;
  readonly inode: number;
}

/** Segments are read into it one after the other: so large buffers of their own would wait for the collector. */
interface Scratch {
  bytes: Buffer;
}

/** How much is looked at before the thread turns to its records again. */
const pieceBytes = 512 * 1024;

/** `{"v":1,"subject":"` and `","class":"`: where the keys' ids lie in a sealed part, and how long they are. */
const idOffsets = [18, 45] as const;
const idLength = 16;
const idsEnd = idOffsets[1] + idLength;

/**
 * Empties the frames sealed under the keys, in the segments that are there when it begins: none of them may be being
 * written. Returns how many there were.
 */
export function* shredSegments(
  place: ShredPlace,
  keys: ReadonlySet<string>,
): Generator<ShredStep, number> {
  const scratch: Scratch = { bytes: Buffer.alloc(0) };
  let emptied = 0;
  for (const segment of listClosed(place)) {
    emptied += yield* shredSegment(place, segment, keys, scratch);
  }
  // Also where nothing was left to empty: an earlier time may have failed after renaming.
  place.folder.sync();
  return emptied;
}

/** What healing found damaged and kept beside a segment holds sealed parts too. */
function listClosed({ disk, dir }: ShredPlace): readonly ClosedSegment[] {
  const names = disk.list(dir);
  const kept = names.filter((name) => name.endsWith(keptSuffix)).map((name) => join(dir, name));
  const segments = listSegments(dir, names).map(({ path }) => path);
  return [...segments, ...kept].flatMap((path) => {
    const found = disk.identify(path);
    return found === undefined ? [] : [{ path, inode: found.inode }];
  });
}

function* shredSegment(
  { disk, folder }: ShredPlace,
  { path, inode }: ClosedSegment,
  keys: ReadonlySet<string>,
  scratch: Scratch,
): Generator<ShredStep, number> {
  const found = disk.identify(path);
  if (found?.inode !== inode) return 0;
  const bytes = yield* load(disk, path, found.bytes, scratch);
  const { end, emptied } = yield* emptyFrames(bytes, keys);
  if (emptied === 0) return 0;
  const unfinished = `${path}.shred${unfinishedSuffix}`;
  if (disk.identify(unfinished) !== undefined) disk.unlink(unfinished);
  yield* writeSynced(disk, unfinished, bytes.subarray(0, end));
  disk.setAge(unfinished, found.modifiedMs);
  // In one turn of the thread: what was removed or begun anew meanwhile is not brought back.
  if (disk.identify(path)?.inode !== inode) {
    disk.unlink(unfinished);
    return 0;
  }
  disk.rename(unfinished, path);
  folder.sync();
  return emptied;
}

/** Moves what stays to the front of the same buffer, because frames only ever get shorter. */
function* emptyFrames(
  bytes: Buffer,
  keys: ReadonlySet<string>,
): Generator<ShredStep, { readonly end: number; readonly emptied: number }> {
  let from = 0;
  let to = 0;
  let emptied = 0;
  let pausedAt = 0;
  while (from < bytes.length) {
    const place = decodePlace(bytes, from);
    if (place === undefined) {
      // Damage is evidence and stays as it is; so does whatever follows the last frame.
      const next = findNextFrame(bytes, from) ?? bytes.length;
      bytes.copyWithin(to, from, next);
      to += next - from;
      from = next;
    } else if (isUnder(bytes, place, keys)) {
      to = writeEmptied(bytes, place, to);
      from = place.end;
      emptied += 1;
    } else {
      if (to !== from) bytes.copyWithin(to, from, place.end);
      to += place.end - from;
      from = place.end;
    }
    if (from - pausedAt < pieceBytes) continue;
    pausedAt = from;
    yield "turn";
  }
  return { end: to, emptied };
}

function isUnder(bytes: Buffer, { split, end }: FramePlace, keys: ReadonlySet<string>): boolean {
  return isNamed(bytes.toString("latin1", split, Math.min(end, split + idsEnd)), keys);
}

/** Whether a sealed part lies under one of the keys. */
export function isNamed(part: string, keys: ReadonlySet<string>): boolean {
  return idOffsets.some((offset) => keys.has(part.slice(offset, offset + idLength)));
}

function* writeSynced(disk: SpoolDisk, path: string, bytes: Buffer): Generator<ShredStep, void> {
  const fd = disk.create(path);
  let isWhole = false;
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      writeAt(disk, fd, bytes.subarray(at, at + pieceBytes), at);
      yield "turn";
    }
    yield { fd };
    isWhole = true;
  } finally {
    disk.close(fd);
    if (!isWhole) disk.unlink(path);
  }
}

function* load(
  disk: SpoolDisk,
  path: string,
  length: number,
  scratch: Scratch,
): Generator<ShredStep, Buffer> {
  if (scratch.bytes.length < length) scratch.bytes = Buffer.alloc(length);
  const bytes = scratch.bytes.subarray(0, length);
  const fd = disk.openToRead(path);
  try {
    for (let at = 0; at < length; ) {
      const count = disk.readAt(fd, bytes, at, Math.min(pieceBytes, length - at), at);
      if (count === 0) return bytes.subarray(0, at);
      at += count;
      yield "turn";
    }
    return bytes;
  } finally {
    disk.close(fd);
  }
}
