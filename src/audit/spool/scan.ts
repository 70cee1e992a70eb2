/**
 * Reads a whole segment as it lies on the disk, pure: its sound frames, what is damaged between them (kept, named and
 * stepped over; ST-14) and where a torn tail begins (cut; ST-13). For recovery and for whoever mends a segment.
 */
import { leafPrefix } from "../envelope.ts";
import {
  type Decoded,
  decodeFrame,
  decodePlace,
  type FramePlace,
  frameHeadBytes,
  leafAt,
  payloadHeadBytes,
  type RecordFrame,
  type SegmentHeader,
} from "./format.ts";

/** From a frame's start to its first part. */
export const partsFrom = frameHeadBytes + payloadHeadBytes;

/** The start of the next sound frame after `offset`, or undefined where none follows. */
export function findNextFrame(bytes: Buffer, offset: number): number | undefined {
  // Every frame's first part opens with these bytes, so only plausible places pay for a checksum.
  const opening = Buffer.from('{"v":');
  let at = bytes.indexOf(opening, offset + 1 + partsFrom);
  while (at !== -1) {
    if (isSound(decodeFrame(bytes, at - partsFrom))) return at - partsFrom;
    at = bytes.indexOf(opening, at + 1);
  }
  return undefined;
}

/** Damage between two sound frames: kept as it is, named, and stepped over. */
export interface Damage {
  readonly from: number;
  readonly to: number;
}

export interface ScannedRecord extends RecordFrame {
  readonly from: number;
  readonly to: number;
}

/** `Found`: what of each record is kept. */
export interface SegmentScan<Found> {
  readonly header: SegmentHeader | undefined;
  /** Where the header ends; 0 where there is none. */
  readonly headerEnd: number;
  readonly records: readonly Found[];
  readonly damage: readonly Damage[];
  /** Where the last sound frame ends; bytes beyond it are a torn tail. */
  readonly soundEnd: number;
  /** The furthest mark: records up to this one were durable. 0 where there is none. */
  readonly syncedSeq: number;
}

/** Reads a whole segment with all that is in it. */
export function scanSegment(bytes: Buffer): SegmentScan<ScannedRecord> {
  return scanFrames(bytes, (place) => ({
    envelope: bytes.toString("utf8", place.start + partsFrom, place.split),
    details: bytes.toString("utf8", place.split, place.end),
    leaf: leafAt(bytes, place),
    from: place.start,
    to: place.end,
  }));
}

/** Reads a whole segment and of each record what the caller takes: a restart waits for this, and texts cost most. */
export function scanFrames<Found>(
  bytes: Buffer,
  take: (place: FramePlace) => Found,
): SegmentScan<Found> {
  const records: Found[] = [];
  const damage: Damage[] = [];
  let header: SegmentHeader | undefined;
  let headerEnd = 0;
  let syncedSeq = 0;
  let offset = 0;
  while (offset < bytes.length) {
    const place = decodePlace(bytes, offset);
    if (place !== undefined && bytes[offset + partsFrom - 1] === leafPrefix) {
      records.push(take(place));
      offset = place.end;
      continue;
    }
    const decoded = decodeFrame(bytes, offset);
    if (isSound(decoded)) {
      if (decoded.kind === "header") {
        header ??= decoded.header;
        headerEnd ||= decoded.end;
      } else if (decoded.kind === "mark") syncedSeq = Math.max(syncedSeq, decoded.synced);
      offset = decoded.end;
      continue;
    }
    const next = findNextFrame(bytes, offset);
    if (next === undefined && isTorn(bytes, offset)) break;
    damage.push({ from: offset, to: next ?? bytes.length });
    offset = next ?? bytes.length;
  }
  return { header, headerEnd, records, damage, soundEnd: offset, syncedSeq };
}

type Sound = Exclude<Decoded, { readonly kind: "short" | "bad" }>;

function isSound(decoded: Decoded): decoded is Sound {
  return decoded.kind !== "short" && decoded.kind !== "bad";
}

/** Room written ahead, or what the file system gave and never filled, is zeros; a record holds no run of them. */
const unfilled = Buffer.alloc(8);

const zeros = Buffer.alloc(64 * 1024);

/** Whether nothing but zeros follows. */
function isUnwritten(bytes: Buffer, offset: number): boolean {
  for (let at = offset; at < bytes.length; at += zeros.length) {
    const piece = bytes.subarray(at, at + zeros.length);
    if (!piece.equals(zeros.subarray(0, piece.length))) return false;
  }
  return true;
}

/** An unfinished frame, or room that was not filled. A whole frame with a wrong sum is damage. */
function isTorn(bytes: Buffer, offset: number): boolean {
  const decoded = decodeFrame(bytes, offset);
  if (decoded.kind === "short") return true;
  if (bytes.length - offset < frameHeadBytes) return isUnwritten(bytes, offset);
  const start = offset + partsFrom;
  const end = offset + frameHeadBytes + bytes.readUInt32LE(offset);
  if (end > start && end <= bytes.length && bytes[end - 1] !== 0) {
    return bytes.subarray(start, end).includes(unfilled);
  }
  return end <= bytes.length ? true : isUnwritten(bytes, offset);
}
