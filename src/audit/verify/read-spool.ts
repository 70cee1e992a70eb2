/**
 * Reads what verification needs from a data folder: segments frame by frame, orders found ahead of their place, and
 * the tree, checkpoint and certificates beside them. One segment is in memory at a time. Trusts nothing it reads.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type EnvelopeView, parseEnvelope } from "../envelope.ts";
import { parsePart } from "../sealing.ts";
import type { SegmentFile } from "../spool/files.ts";
import {
  decodeFrame,
  frameHeadBytes,
  type RecordFrame,
  type SegmentHeader,
} from "../spool/format.ts";
import { findNextFrame } from "../spool/scan.ts";
import type { TileFiles } from "./checked-tree.ts";
import { type Landmark, landmarkEvents, toLandmark } from "./orders.ts";
import type { PartState } from "./verifiable-record.ts";

/** A frame of a segment; `damage` stands for bytes that are none. */
export type SpoolPiece =
  | { readonly kind: "header"; readonly header: SegmentHeader }
  | {
      readonly kind: "record";
      /** Undefined where the envelope cannot be read. */
      readonly envelope: EnvelopeView | undefined;
      readonly leaf: string;
      readonly part: PartState;
      /** The record as it lies there. */
      readonly frame: RecordFrame;
    }
  | { readonly kind: "damage" };

/**
 * The pieces of a segment. What follows the last record before the next segment's first is left over from a sync that
 * failed, or was never acknowledged: neither records nor damage.
 */
export function* readSegment(segment: SegmentFile, nextFirstSeq: number): Generator<SpoolPiece> {
  let seq = 0;
  for (const piece of readPieces(readFileSync(segment.path))) {
    const own = piece.kind === "record" ? piece.envelope?.seq : undefined;
    const isOver = seq === nextFirstSeq - 1 && !(own !== undefined && own < nextFirstSeq);
    if (isOver) continue;
    seq = own ?? seq;
    yield piece;
  }
}

function* readPieces(bytes: Buffer): Generator<SpoolPiece> {
  let offset = 0;
  while (offset < bytes.length) {
    const decoded = decodeFrame(bytes, offset);
    if (decoded.kind === "short" || decoded.kind === "bad") {
      const next = findNextFrame(bytes, offset);
      if (next === undefined && isUnfinished(bytes, offset)) return;
      yield { kind: "damage" };
      offset = next ?? bytes.length;
      continue;
    }
    offset = decoded.end;
    if (decoded.kind === "header") yield decoded;
    if (decoded.kind !== "record") continue;
    const frame = decoded.record;
    const envelope = parseEnvelope(frame.envelope);
    yield { kind: "record", envelope, leaf: frame.leaf, part: partOf(frame.details), frame };
  }
}

const unfilled = Buffer.alloc(8);

/** A frame whose end was never written, or room that was not filled: zeros, which no record holds in a row. */
function isUnfinished(bytes: Buffer, offset: number): boolean {
  const rest = bytes.subarray(offset);
  if (rest.length < frameHeadBytes) return true;
  const end = frameHeadBytes + rest.readUInt32LE(0);
  return end > rest.length || rest.subarray(0, end + unfilled.length).includes(unfilled);
}

/** How every sealed part begins: enough to tell it apart a million times; opening reads it whole. */
const sealedStart =
  /^\{"v":1,"subject":"[0-9a-f]{16}","class":"[0-9a-f]{16}","salt":"[0-9a-f]{32}",/;

/** Whether a sealed part is well formed; only keys tell more. */
export function partOf(details: string | null): PartState {
  if (details === null || details === "") return "missing";
  if (sealedStart.test(details) && details.endsWith('"}')) return "sealed";
  const part = parsePart(details);
  if (part === undefined) return "broken";
  return part === "empty" ? "empty" : "sealed";
}

/** The orders and starts in the segments, wherever they stand. */
export function findLandmarks(segments: readonly SegmentFile[]): readonly Landmark[] {
  const found: Landmark[] = [];
  const needles = landmarkEvents.map((event) => Buffer.from(`"event":"${event}"`));
  for (const { path } of segments) {
    const bytes = readFileSync(path);
    for (const needle of needles) {
      for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + 1)) {
        const landmark = readAround(bytes, at);
        if (landmark !== undefined) found.push(landmark);
      }
    }
  }
  return found;
}

const opening = '{"v":2,"log":';
const beforeEnvelope = frameHeadBytes + 5;

function readAround(bytes: Buffer, at: number): Landmark | undefined {
  const start = bytes.lastIndexOf(opening, at) - beforeEnvelope;
  const decoded = start < 0 ? undefined : decodeFrame(bytes, start);
  if (decoded?.kind !== "record") return undefined;
  return toLandmark(decoded.record.envelope, decoded.record.leaf);
}

export interface EvidenceFiles {
  readonly checkpoints: readonly string[];
  readonly certificates: readonly string[];
  readonly tiles: TileFiles;
}

const tilePattern = /^\d+\/(x\d{3}\/)*\d{3}(\.p\/\d{1,3})?$/;

/** What lies in `<data>/evidence`; a folder that is not there holds nothing. */
export function readEvidence(dir: string): EvidenceFiles {
  const checkpoint = join(dir, "checkpoint");
  const certificates = join(dir, "certificates");
  const tiles = join(dir, "tile");
  const names = existsSync(certificates) ? readdirSync(certificates) : [];
  const listed = existsSync(tiles) ? listAll(tiles) : [];
  return {
    checkpoints: existsSync(checkpoint) ? [readFileSync(checkpoint, "utf8")] : [],
    certificates: names.map((name) => readFileSync(join(certificates, name), "utf8")),
    tiles: {
      paths: listed
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(tiles.length + 1))
        // What a crash left unfinished is no tile.
        .filter((path) => tilePattern.test(path)),
      read: (path) => readTile(join(tiles, path)),
    },
  };
}

/** Once more where a folder went while it was listed, as one does beside a running gateway. */
function listAll(dir: string) {
  const options = { recursive: true, withFileTypes: true } as const;
  try {
    return readdirSync(dir, options);
  } catch {
    return readdirSync(dir, options);
  }
}

/** Beside a running gateway: part of a tile goes once more of it is there. */
function readTile(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const isGone = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isGone && path.includes(".p/")) return undefined;
    throw error;
  }
}
