/**
 * Reads synced records back from the segment files, in order, a bounded piece at a time. Steps over damage (which stays
 * where it is) and over records that a poisoned segment shares with its successor. Used by the copier, sinks and the
 * monitor, on threads of their own, and by looks on the spool's (`look.ts`), so it simply waits for the disk; remembers
 * where it stopped, for a few who read in turns.
 */
import { closeSync, constants, existsSync, openSync, readSync } from "node:fs";
import { seqOf } from "../envelope.ts";
import { listSegments, type SegmentFile } from "./files.ts";
import {
  decodeFrame,
  frameBytesMax,
  frameHeadBytes,
  passRecord,
  type RecordFrame,
} from "./format.ts";
import { findNextFrame } from "./scan.ts";

export interface SpoolRecord extends RecordFrame {
  readonly seq: number;
}

export interface SpoolReader {
  /** At most `limit` records after `afterSeq`, none above `untilSeq`; empty where there is none. */
  read(afterSeq: number, untilSeq: number, limit: number): Promise<readonly SpoolRecord[]>;
}

interface Cursor {
  readonly segment: SegmentFile;
  readonly offset: number;
  /** The last record before `offset`. */
  readonly seq: number;
}

interface Wanted {
  readonly afterSeq: number;
  readonly untilSeq: number;
  readonly limit: number;
}

interface Piece {
  readonly records: readonly SpoolRecord[];
  /** The first and the last record in it, wanted or not; 0 where there is none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly offset: number;
  /** Whether the segment holds nothing further that is wanted. */
  readonly isEnd: boolean;
}

const pieceBytes = 512 * 1024;
/** Holds every frame that begins in its first piece. */
const longBytes = pieceBytes + frameHeadBytes + frameBytesMax;
const cursorsMax = 4;

export function createSpoolReader(dir: string): SpoolReader {
  /** Where reading stopped, the latest first. */
  let cursors: readonly Cursor[] = [];
  /** Reused by every read, of which there is one at a time: what is found in it is copied out as text. */
  const buffer = Buffer.allocUnsafeSlow(pieceBytes);

  async function read(afterSeq: number, untilSeq: number, limit: number) {
    if (afterSeq >= untilSeq) return [];
    const found: SpoolRecord[] = [];
    let isBegunAnew = false;
    const left = cursors.find(({ seq }) => seq === afterSeq);
    cursors = cursors.filter((cursor) => cursor !== left);
    let at = isStillThere(left) ? left : startFor(dir, afterSeq);
    while (at !== undefined && found.length < limit) {
      const next = nextSegment(dir, at.segment);
      const until = Math.min(untilSeq, (next?.firstSeq ?? Number.POSITIVE_INFINITY) - 1);
      const after = found.at(-1)?.seq ?? afterSeq;
      const wanted = { afterSeq: after, untilSeq: until, limit: limit - found.length };
      const piece = readPiece(at, wanted, buffer);
      if (!isBegunAnew && hasMoved(at, piece, until)) {
        // Once: where it is damage that makes records miss, reading anew finds no more.
        isBegunAnew = true;
        at = { segment: at.segment, offset: 0, seq: 0 };
        continue;
      }
      found.push(...piece.records);
      const seq = Math.max(at.seq, piece.lastSeq);
      at = { segment: at.segment, offset: piece.offset, seq };
      if (!piece.isEnd) continue;
      if (next === undefined || next.firstSeq > untilSeq) break;
      at = { segment: next, offset: 0, seq };
    }
    if (at !== undefined) cursors = [at, ...cursors].slice(0, cursorsMax);
    return found;
  }

  return { read };
}

/** Whether to go on from `cursor`: its segment may have been shipped and removed meanwhile. */
function isStillThere(cursor: Cursor | undefined): boolean {
  return cursor !== undefined && existsSync(cursor.segment.path);
}

/**
 * Whether records up to `untilSeq` are missing where the cursor stood in the middle of a segment: it was written anew with
 * shorter frames (`shred.ts`), so that the offset means nothing any more.
 */
function hasMoved(at: Cursor, piece: Piece, untilSeq: number): boolean {
  if (at.offset === 0 || at.seq === 0) return false;
  if (piece.firstSeq > 0) return piece.firstSeq !== at.seq + 1;
  return piece.isEnd && untilSeq > at.seq;
}

/** The start of the segment which holds the record after `afterSeq`. */
function startFor(dir: string, afterSeq: number): Cursor | undefined {
  const segments = listSegments(dir);
  const segment = segments.findLast((one) => one.firstSeq <= afterSeq + 1) ?? segments[0];
  return segment && { segment, offset: 0, seq: 0 };
}

function nextSegment(dir: string, segment: SegmentFile): SegmentFile | undefined {
  return listSegments(dir).find((one) => one.firstSeq > segment.firstSeq);
}

function readPiece(at: Cursor, wanted: Wanted, buffer: Buffer): Piece {
  const bytes = readBytes(at.segment.path, at.offset, buffer);
  const piece = takeRecords(bytes, wanted);
  const isFull = bytes.length === pieceBytes;
  // Where the limit stopped it, more may follow in the same file, however short that is.
  const isLast = !isFull && piece.records.length < wanted.limit;
  if (piece.offset > 0 || piece.isEnd || !isFull) {
    return { ...piece, offset: at.offset + piece.offset, isEnd: piece.isEnd || isLast };
  }
  // A frame or damage longer than a piece: the longest frame that begins in it is looked for.
  const more = readBytes(at.segment.path, at.offset, Buffer.allocUnsafe(longBytes));
  const longer = takeRecords(more, wanted);
  if (longer.offset > 0) return { ...longer, offset: at.offset + longer.offset };
  if (more.length < longBytes) return { ...longer, offset: at.offset, isEnd: true };
  return { ...longer, offset: at.offset + pieceBytes };
}

/** Records before the wanted ones are stepped over and do not count: the way to a log's end may be long. */
function takeRecords(bytes: Buffer, { afterSeq, untilSeq, limit }: Wanted): Piece {
  const records: SpoolRecord[] = [];
  let firstSeq = 0;
  let lastSeq = 0;
  let offset = 0;
  while (records.length < limit && lastSeq < untilSeq) {
    const passed = lastSeq < afterSeq ? passRecord(bytes, offset) : undefined;
    if (passed !== undefined && passed.seq <= afterSeq) {
      firstSeq ||= passed.seq;
      lastSeq = passed.seq;
      offset = passed.end;
      continue;
    }
    const decoded = decodeFrame(bytes, offset);
    if (decoded.kind === "short" || decoded.kind === "bad") {
      const next = findNextFrame(bytes, offset);
      // Not the segment's end, even where only zeros are seen: what a write left out is damage, and records follow it.
      if (next === undefined) return { records, firstSeq, lastSeq, offset, isEnd: false };
      offset = next;
      continue;
    }
    if (decoded.kind === "record") {
      const seq = seqOf(decoded.record.envelope);
      if (seq > untilSeq) return { records, firstSeq, lastSeq, offset, isEnd: true };
      firstSeq ||= seq;
      lastSeq = seq;
      if (seq > afterSeq) records.push({ ...decoded.record, seq });
    }
    offset = decoded.end;
  }
  return { records, firstSeq, lastSeq, offset, isEnd: lastSeq >= untilSeq };
}

function readBytes(path: string, offset: number, into: Buffer): Buffer {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return into.subarray(0, readSync(file, into, 0, into.length, offset));
  } finally {
    closeSync(file);
  }
}
