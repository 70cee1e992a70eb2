/**
 * Reads the leaves of synced records back from the segment files, and nothing else of them: for the notary, which signs
 * only what is on the disk. Unlike `reader.ts` it never steps over anything: the first record that is missing or damaged
 * ends the reading, by name. Synchronous, so it belongs on a thread of its own.
 */
import * as fs from "node:fs";
import { crc32 } from "node:zlib";
import { leafPrefix } from "../envelope.ts";
import { listSegments, type SegmentFile } from "./files.ts";
import { frameBytesMax, frameHeadBytes, payloadHeadBytes } from "./format.ts";

export interface LeafRecord {
  readonly seq: number;
  /** Hex, hashed from the bytes on the disk. */
  readonly leaf: string;
  /** Hex, as the envelope says. */
  readonly prev: string;
  readonly log: string;
  readonly event: string;
}

/** Why the record after the last one taken cannot be had. */
export interface LeafDamage {
  readonly kind: "missing" | "bytes";
  /** The record that was wanted. */
  readonly seq: number;
  /** The segment's file name; empty where there is none. */
  readonly segment: string;
}

export interface LeafReader {
  /** Hands over the records after `afterSeq` up to `untilSeq`, in order; says where that ends early. */
  read(
    afterSeq: number,
    untilSeq: number,
    take: (record: LeafRecord) => void,
  ): LeafDamage | undefined;
}

interface Cursor {
  readonly segment: SegmentFile;
  /** Of the file read from: a segment may be written anew under its name. */
  readonly inode: number;
  offset: number;
  /** The last record before `offset`. */
  seq: number;
}

interface Frame {
  readonly isRecord: boolean;
  readonly hashedFrom: number;
  readonly hashedTo: number;
  readonly end: number;
}

const pieceBytes = 256 * 1024;
/** An envelope's head is never longer, whatever its facts. */
const headBytesMax = 320;
const headPattern =
  /^\{"v":\d{1,3},"log":"([^"]{1,64})","seq":(\d{1,16}),"prev":"([0-9a-f]{64})","time":[^,]{1,24},"event":"([a-z_.]{1,64})",/;

export function createLeafReader(dir: string): LeafReader {
  let cursor: Cursor | undefined;
  const piece = Buffer.allocUnsafeSlow(pieceBytes);

  function read(afterSeq: number, untilSeq: number, take: (record: LeafRecord) => void) {
    let seq = afterSeq;
    while (seq < untilSeq) {
      const segments = listSegments(dir);
      const segment = segments.findLast((one) => one.firstSeq <= seq + 1);
      if (segment === undefined) return { kind: "missing", seq: seq + 1, segment: "" } as const;
      const next = segments[segments.indexOf(segment) + 1];
      const until = Math.min(untilSeq, (next?.firstSeq ?? Number.POSITIVE_INFINITY) - 1);
      const damage = readSegment(segment, seq, until, take);
      if (damage !== undefined) return damage;
      seq = until;
    }
    return undefined;
  }

  function readSegment(
    segment: SegmentFile,
    afterSeq: number,
    until: number,
    take: (record: LeafRecord) => void,
  ): LeafDamage | undefined {
    const fd = fs.openSync(segment.path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    try {
      const inode = fs.fstatSync(fd).ino;
      const at = isAt(cursor, segment, inode, afterSeq)
        ? cursor
        : { segment, inode, offset: 0, seq: segment.firstSeq - 1 };
      // Kept only where all went well: after anything else the segment is read from its beginning.
      cursor = undefined;
      const damage = readFrames(fd, at, afterSeq, until, take);
      if (damage === undefined) cursor = at;
      return damage;
    } finally {
      fs.closeSync(fd);
    }
  }

  function readFrames(
    fd: number,
    at: Cursor,
    afterSeq: number,
    until: number,
    take: (record: LeafRecord) => void,
  ): LeafDamage | undefined {
    const damaged = () => {
      const segment = at.segment.path.slice(dir.length + 1);
      return { kind: "bytes", seq: Math.max(at.seq, afterSeq) + 1, segment } as const;
    };
    let buffer = piece;
    while (at.seq < until) {
      const bytes = buffer.subarray(0, fs.readSync(fd, buffer, 0, buffer.length, at.offset));
      let offset = 0;
      for (let frame = locateFrame(bytes, 0); frame !== undefined; ) {
        if (frame.isRecord) {
          // Those before are only counted: the number of the first one wanted tells if that was right.
          const isWanted = at.seq >= afterSeq;
          const record = isWanted ? toLeafRecord(bytes, frame) : undefined;
          if (isWanted && record?.seq !== at.seq + 1) return damaged();
          at.seq += 1;
          if (record !== undefined) take(record);
        }
        offset = frame.end;
        frame = at.seq < until ? locateFrame(bytes, offset) : undefined;
      }
      at.offset += offset;
      if (offset > 0) continue;
      // Nothing sound, or one frame longer than a piece: the largest there can be is looked for once.
      if (buffer !== piece) return damaged();
      buffer = Buffer.allocUnsafe(frameBytesMax + frameHeadBytes);
    }
    return undefined;
  }

  return { read };
}

function isAt(
  cursor: Cursor | undefined,
  segment: SegmentFile,
  inode: number,
  afterSeq: number,
): cursor is Cursor {
  return cursor?.segment.path === segment.path && cursor.inode === inode && cursor.seq <= afterSeq;
}

/** The sound frame at `offset`; undefined where the bytes end before it does, or are none. */
function locateFrame(bytes: Buffer, offset: number): Frame | undefined {
  if (bytes.length - offset < frameHeadBytes + payloadHeadBytes) return undefined;
  const length = bytes.readUInt32LE(offset);
  if (length < payloadHeadBytes || length > frameBytesMax) return undefined;
  const payload = offset + frameHeadBytes;
  const end = payload + length;
  if (end > bytes.length) return undefined;
  if (crc32(bytes.subarray(payload, end)) !== bytes.readUInt32LE(offset + 4)) return undefined;
  const hashedTo = payload + payloadHeadBytes + bytes.readUInt32LE(payload);
  if (hashedTo > end) return undefined;
  // The kind byte stands before the envelope and is hashed with it.
  const hashedFrom = payload + payloadHeadBytes - 1;
  return { isRecord: bytes[hashedFrom] === leafPrefix, hashedFrom, hashedTo, end };
}

function toLeafRecord(bytes: Buffer, frame: Frame): LeafRecord | undefined {
  const from = frame.hashedFrom + 1;
  const headEnd = Math.min(from + headBytesMax, frame.hashedTo);
  const [, log, seq, prev, event] = headPattern.exec(bytes.toString("latin1", from, headEnd)) ?? [];
  if (log === undefined || seq === undefined || prev === undefined || event === undefined)
    return undefined;
  const hashed = bytes.subarray(frame.hashedFrom, frame.hashedTo);
  return { seq: Number(seq), log, prev, event, leaf: Bun.SHA256.hash(hashed, "hex") };
}
