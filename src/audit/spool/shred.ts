/**
 * Takes sealed parts out of closed segments: the frames whose second part lies under one of the given keys keep
 * envelope and leaf and lose the rest. A segment is written anew beside itself, synced and renamed, so a crash leaves the
 * old one or the new one; nothing else about it changes, not even its age. Runs on the spool's thread, a piece at a
 * time between records; called by `writer.ts`, which ended the active segment first.
 */
import { renameSync, statSync } from "node:fs";
import * as fs from "node:fs/promises";
import { type SegmentFile, syncDir, unfinishedSuffix } from "./files.ts";
import { decodePlace, type FramePlace, findNextFrame, writeEmptied } from "./format.ts";

export interface ShredRequest {
  readonly dir: string;
  readonly segments: readonly SegmentFile[];
  /** Ids of destroyed keys. */
  readonly keys: ReadonlySet<string>;
  /** Whether the segment is written to now; asked again right before its file would be replaced. */
  readonly isActive: (segment: SegmentFile) => boolean;
}

/** How much is looked at before the thread turns to its records again. */
const pieceBytes = 512 * 1024;

/** `{"v":1,"subject":"` and `","class":"`: where the keys' ids lie in a sealed part, and how long they are. */
const idOffsets = [18, 45] as const;
const idLength = 16;

/** Empties the frames sealed under the keys; resolves with how many there were. */
export async function shredSegments(request: ShredRequest): Promise<number> {
  let emptied = 0;
  for (const segment of request.segments) {
    if (!request.isActive(segment)) emptied += await shredSegment(request, segment);
  }
  return emptied;
}

async function shredSegment(request: ShredRequest, segment: SegmentFile): Promise<number> {
  const opened = await load(segment.path);
  if (opened === undefined) return 0;
  const { stat, bytes } = opened;
  const { end, emptied } = await emptyFrames(bytes, request.keys);
  if (emptied === 0) return 0;
  const unfinished = `${segment.path}.shred${unfinishedSuffix}`;
  await writeSynced(unfinished, bytes.subarray(0, end));
  // Segments go by their age, which is that of their records.
  await fs.utimes(unfinished, stat.atime, stat.mtime);
  // In one turn of the thread: what was removed, healed or begun anew meanwhile is not brought back.
  const now = statSync(segment.path, { throwIfNoEntry: false });
  if (now?.ino !== stat.ino || now.size !== stat.size || request.isActive(segment)) {
    await fs.rm(unfinished, { force: true });
    return 0;
  }
  renameSync(unfinished, segment.path);
  syncDir(request.dir);
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
