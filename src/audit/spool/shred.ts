/**
 * Takes sealed parts out of closed segments: the frames whose second part lies under one of the given keys keep
 * envelope and leaf and lose the rest. A segment is written anew beside itself, synced and renamed, so a crash leaves the
 * old one or the new one; nothing else about it changes, not even its age. Runs on the spool's thread, a piece at a
 * time between records; called by `worker.ts`, for which the writer ends the active segment first.
 */
import { renameSync, statSync } from "node:fs";
import * as fs from "node:fs/promises";
import { reasonOf } from "./disk.ts";
import { listSegments, type SegmentFile, unfinishedSuffix } from "./files.ts";
import { decodePlace, type FramePlace, findNextFrame, writeEmptied } from "./format.ts";
import type { FromSpool } from "./messages.ts";

/** A file that was a closed segment when it was listed; another file may have its name since. */
export interface ClosedSegment extends SegmentFile {
  readonly inode: number;
}

/** How much is looked at before the thread turns to its records again. */
const pieceBytes = 512 * 1024;

/** `{"v":1,"subject":"` and `","class":"`: where the keys' ids lie in a sealed part, and how long they are. */
const idOffsets = [18, 45] as const;
const idLength = 16;

/** Ends the active segment, empties what lies under the keys, and reports `shredded` or `not-shredded`. */
export async function shredSpool(
  writer: { endSegment(ended: () => void): void },
  dir: string,
  keys: readonly string[],
  emit: (message: FromSpool) => void,
): Promise<void> {
  try {
    const segments = await new Promise<readonly ClosedSegment[]>((resolve) =>
      writer.endSegment(() => resolve(listClosed(dir))),
    );
    emit({ kind: "shredded", frames: await shredSegments(dir, segments, new Set(keys)) });
  } catch (error) {
    emit({ kind: "not-shredded", reason: reasonOf(error) });
  }
}

/** The segments that are there; none of them is being written. */
export function listClosed(dir: string): readonly ClosedSegment[] {
  return listSegments(dir).map((file) => ({ ...file, inode: statSync(file.path).ino }));
}

/** Empties the frames sealed under the keys; resolves with how many there were. */
export async function shredSegments(
  dir: string,
  segments: readonly ClosedSegment[],
  keys: ReadonlySet<string>,
): Promise<number> {
  let emptied = 0;
  for (const segment of segments) emptied += await shredSegment(dir, segment, keys);
  return emptied;
}

async function shredSegment(
  dir: string,
  segment: ClosedSegment,
  keys: ReadonlySet<string>,
): Promise<number> {
  const opened = await load(segment.path);
  if (opened?.stat.ino !== segment.inode) return 0;
  const { stat, bytes } = opened;
  const { end, emptied } = await emptyFrames(bytes, keys);
  if (emptied === 0) return 0;
  const unfinished = `${segment.path}.shred${unfinishedSuffix}`;
  await writeSynced(unfinished, bytes.subarray(0, end));
  // Segments go by their age, which is that of their records.
  await fs.utimes(unfinished, stat.atime, stat.mtime);
  // In one turn of the thread: what was removed, healed or begun anew meanwhile is not brought back.
  if (statSync(segment.path, { throwIfNoEntry: false })?.ino !== segment.inode) {
    await fs.rm(unfinished, { force: true });
    return 0;
  }
  renameSync(unfinished, segment.path);
  await syncFolder(dir);
  return emptied;
}

/** Moves what stays to the front of the same buffer, because frames only ever get shorter. */
async function emptyFrames(
  bytes: Buffer,
  keys: ReadonlySet<string>,
): Promise<{ readonly end: number; readonly emptied: number }> {
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
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { end: to, emptied };
}

function isUnder(bytes: Buffer, { split, end }: FramePlace, keys: ReadonlySet<string>): boolean {
  return idOffsets.some((offset) => {
    const start = split + offset;
    return start + idLength <= end && keys.has(bytes.toString("latin1", start, start + idLength));
  });
}

async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const file = await fs.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    for (let written = 0; written < bytes.length; ) {
      const length = Math.min(pieceBytes, bytes.length - written);
      const { bytesWritten } = await file.write(bytes, written, length, written);
      if (bytesWritten === 0) throw new Error("the disk took no bytes");
      written += bytesWritten;
    }
    await file.sync();
  } catch (error) {
    await fs.rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await fs.open(dir, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The segment's bytes and what file they are of; undefined where it was removed. */
async function load(path: string) {
  const { O_RDONLY, O_NOFOLLOW } = fs.constants;
  const file = await fs.open(path, O_RDONLY | O_NOFOLLOW).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    return { stat: await file.stat(), bytes: await file.readFile() };
  } finally {
    await file.close();
  }
}
