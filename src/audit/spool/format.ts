/**
 * The bytes of a spool segment, pure: `u32 payload length | u32 CRC-32 | payload`, little endian. A payload is
 * `u32 first length | u8 kind | first part | second part`: for a record the envelope and its details, for the header
 * that opens every segment its JSON alone. The kind byte of a record is the leaf prefix 0x00, so the leaf is the
 * hash of bytes that lie side by side. Tells a torn tail (cut) from damage in the middle (never cut; ST-13, ST-14).
 * Between the records stand marks: how far the log was synced when the bytes after it were written.
 *
 * CRC-32 is zlib's: the runtime has no Castagnoli polynomial, and the frame check only has to find accidents
 * quickly; forgery is found by the hash chain.
 */
import { crc32 } from "node:zlib";
import { leafPrefix, type SealedRecord, seqOf } from "../envelope.ts";

export const frameHeadBytes = 8;
export const payloadHeadBytes = 5;
const headerKind = 0x80;
const markKind = 0x81;
/** A frame longer than this is damage, whatever its length field says. */
export const frameBytesMax = 4 * 1024 * 1024;

/** Opens every segment, so that recovery needs to read no older one. */
export interface SegmentHeader {
  /** 2 since records are sealed. */
  readonly v: 2;
  readonly log: string;
  readonly firstSeq: number;
  /** Leaf of record firstSeq - 1. */
  readonly prev: string;
  /** Intents whose outcome was not yet recorded when the segment began. */
  readonly openIntents: readonly number[];
}

export interface RecordFrame extends SealedRecord {
  readonly leaf: string;
}

export type Decoded =
  | { readonly kind: "header"; readonly header: SegmentHeader; readonly end: number }
  | { readonly kind: "record"; readonly record: RecordFrame; readonly end: number }
  /** Every record up to `synced` was durable when this was written. */
  | { readonly kind: "mark"; readonly synced: number; readonly end: number }
  /** The bytes end before the frame does. */
  | { readonly kind: "short" }
  | { readonly kind: "bad" };

/** Upper bound of the bytes `writeRecord` needs. */
export function recordFrameBytesMax(record: SealedRecord): number {
  return frameHeadBytes + payloadHeadBytes + 3 * (record.envelope.length + record.details.length);
}

/** Writes a record's frame at `offset` and returns its end and its leaf. */
export function writeRecord(
  into: Buffer,
  offset: number,
  record: SealedRecord,
): { readonly end: number; readonly leaf: string } {
  const payload = offset + frameHeadBytes;
  const envelopeStart = payload + payloadHeadBytes;
  const envelopeEnd = envelopeStart + into.write(record.envelope, envelopeStart);
  const end = envelopeEnd + into.write(record.details, envelopeEnd);
  into.writeUInt32LE(envelopeEnd - envelopeStart, payload);
  into[payload + 4] = leafPrefix;
  closeFrame(into, offset, end);
  return { end, leaf: Bun.SHA256.hash(into.subarray(payload + 4, envelopeEnd), "hex") };
}

export function encodeHeader(header: SegmentHeader): Buffer {
  return encodeJson(headerKind, header);
}

export function encodeMark(synced: number): Buffer {
  return encodeJson(markKind, { v: 1, synced });
}

function encodeJson(kind: number, value: object): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const frame = Buffer.alloc(frameHeadBytes + payloadHeadBytes + json.length);
  frame.writeUInt32LE(json.length, frameHeadBytes);
  frame[frameHeadBytes + 4] = kind;
  json.copy(frame, frameHeadBytes + payloadHeadBytes);
  closeFrame(frame, 0, frame.length);
  return frame;
}

function closeFrame(into: Buffer, offset: number, end: number): void {
  const payload = offset + frameHeadBytes;
  into.writeUInt32LE(end - payload, offset);
  into.writeUInt32LE(crc32(into.subarray(payload, end)), offset + 4);
}

/** Where a sound frame lies and its parts part. */
export interface FramePlace {
  readonly start: number;
  /** Where its second part begins. */
  readonly split: number;
  readonly end: number;
}

/** The place of the sound frame at `offset`; undefined where there is none. */
export function decodePlace(bytes: Buffer, offset: number): FramePlace | undefined {
  const end = findEnd(bytes, offset);
  if (typeof end === "string") return undefined;
  const payload = offset + frameHeadBytes;
  const split = payload + payloadHeadBytes + bytes.readUInt32LE(payload);
  return split > end ? undefined : { start: offset, split, end };
}

/** The leaf of the record whose frame lies there. */
export function leafAt(bytes: Buffer, { start, split }: FramePlace): string {
  return Bun.SHA256.hash(bytes.subarray(start + frameHeadBytes + 4, split), "hex");
}

/** Writes the frame without its second part at `to`, which is not after it, and returns its new end. */
export function writeEmptied(bytes: Buffer, { start, split }: FramePlace, to: number): number {
  bytes.copyWithin(to, start, split);
  const end = to + split - start;
  closeFrame(bytes, to, end);
  return end;
}

/** No longer part of an envelope is needed to know its number. */
const numberedBytes = 128;

/** Which record the sound frame at `offset` holds, to step over it; undefined where it holds none. */
export function passRecord(
  bytes: Buffer,
  offset: number,
): { readonly seq: number; readonly end: number } | undefined {
  const place = decodePlace(bytes, offset);
  const start = offset + frameHeadBytes + payloadHeadBytes;
  if (place === undefined || bytes[start - 1] !== leafPrefix) return undefined;
  const head = bytes.toString("latin1", start, Math.min(start + numberedBytes, place.split));
  return { seq: seqOf(head), end: place.end };
}

/** Decodes the frame at `offset`. */
export function decodeFrame(bytes: Buffer, offset: number): Decoded {
  const end = findEnd(bytes, offset);
  return typeof end === "string"
    ? { kind: end }
    : decodePayload(bytes, offset + frameHeadBytes, end);
}

/** Where the frame at `offset` ends, its checksum being right. */
function findEnd(bytes: Buffer, offset: number): number | "short" | "bad" {
  if (bytes.length - offset < frameHeadBytes) return "short";
  const length = bytes.readUInt32LE(offset);
  if (length < payloadHeadBytes || length > frameBytesMax) return "bad";
  const payload = offset + frameHeadBytes;
  const end = payload + length;
  if (end > bytes.length) return "short";
  const isRight = crc32(bytes.subarray(payload, end)) === bytes.readUInt32LE(offset + 4);
  return isRight ? end : "bad";
}

function decodePayload(bytes: Buffer, payload: number, end: number): Decoded {
  const start = payload + payloadHeadBytes;
  const split = start + bytes.readUInt32LE(payload);
  if (split > end) return { kind: "bad" };
  const kind = bytes[payload + 4];
  if (kind === headerKind) {
    const header = parseHeader(bytes.toString("utf8", start, split));
    return header === undefined ? { kind: "bad" } : { kind: "header", header, end };
  }
  if (kind === markKind) {
    const synced = parseMark(bytes.toString("utf8", start, split));
    return synced === undefined ? { kind: "bad" } : { kind: "mark", synced, end };
  }
  if (kind !== leafPrefix) return { kind: "bad" };
  const record = {
    envelope: bytes.toString("utf8", start, split),
    details: bytes.toString("utf8", split, end),
    leaf: Bun.SHA256.hash(bytes.subarray(payload + 4, split), "hex"),
  };
  return { kind: "record", record, end };
}

function parseHeader(text: string): SegmentHeader | undefined {
  try {
    const header = JSON.parse(text) as SegmentHeader;
    if (!Number.isSafeInteger(header.firstSeq)) return undefined;
    if (header.v === 2) return header;
  } catch {
    return undefined;
  }
  throw new Error(
    "the spool was written by another version of this program, whose records this one cannot read: " +
      "start with an empty data folder, or run the program that wrote it",
  );
}

function parseMark(text: string): number | undefined {
  try {
    const { v, synced } = JSON.parse(text);
    return v === 1 && Number.isSafeInteger(synced) ? synced : undefined;
  } catch {
    return undefined;
  }
}
