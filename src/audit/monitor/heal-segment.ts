/**
 * Writes a damaged segment anew (ST-14): from its own sound frames and, for the others, from the database's rows, and
 * only where every record is the one that was there: its leaf is the tree's, its `prev` the leaf before it, and the last
 * one is what the next segment goes on from. The damaged file stays beside as `.kept`. Only for segments that are
 * closed: the one being written belongs to the writer.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import type { AuditRow } from "../../storage/store.ts";
import { genesisLeaf, leafOf, parseEnvelope, type SealedRecord } from "../envelope.ts";
import { listSegments, type SegmentFile, syncDir, unmarkDamaged } from "../spool/files.ts";
import { encodeHeader, recordFrameBytesMax, scanSegment, writeRecord } from "../spool/format.ts";

export interface HealableSegment extends SegmentFile {
  readonly lastSeq: number;
  /** What its successor says its last leaf is. */
  readonly lastLeaf: string;
}

const keptSuffix = ".kept";
const unfinishedSuffix = ".healed.new";

/** The closed segment that holds a record; undefined where it is the newest, or its successor is damaged too. */
export function findClosedSegment(dir: string, seq: number): HealableSegment | undefined {
  const segments = listSegments(dir);
  const at = segments.findLastIndex((one) => one.firstSeq <= seq);
  const [segment, next] = [segments[at], segments[at + 1]];
  if (segment === undefined || next === undefined) return undefined;
  const { header } = scanSegment(fs.readFileSync(next.path).subarray(0, headBytes));
  if (header === undefined || header.firstSeq !== next.firstSeq) return undefined;
  return { ...segment, lastSeq: next.firstSeq - 1, lastLeaf: header.prev };
}

/** More than any header: open intents are as many as calls in flight. */
const headBytes = 1024 * 1024;

/**
 * Heals it; returns how many records came from the database, or undefined where they are not all to be had. `rows` are
 * the database's, `leafAt` the tree's leaves where it reaches.
 */
export function healSegment(
  segment: HealableSegment,
  logId: string,
  rows: ReadonlyMap<number, AuditRow>,
  leafAt: (seq: number) => string | undefined,
): number | undefined {
  const bytes = fs.readFileSync(segment.path);
  const { header, records } = scanSegment(bytes);
  const sound = new Map(records.map((one) => [parseEnvelope(one.envelope)?.seq ?? 0, one]));
  const frames: SealedRecord[] = [];
  let prev =
    leafAt(segment.firstSeq - 1) ??
    (segment.firstSeq === 1 ? genesisLeaf : (header?.prev ?? ""));
  let fetched = 0;
  for (let seq = segment.firstSeq; seq <= segment.lastSeq; seq += 1) {
    const place = { seq, prev, logId, leaf: leafAt(seq) };
    const own = sound.get(seq);
    const isOwn = own !== undefined && isRight(own, own.leaf, place);
    const row = rows.get(seq);
    const record = isOwn ? own : toRecord(row);
    const leaf = isOwn ? own.leaf : (row?.leaf ?? "");
    if (record === undefined || !isRight(record, leaf, place)) return undefined;
    if (!isOwn) fetched += 1;
    frames.push(record);
    prev = leaf;
  }
  if (prev !== segment.lastLeaf) return undefined;
  const first = { v: 1, log: logId, firstSeq: segment.firstSeq, prev: firstPrev(frames) } as const;
  replaceSegment(segment, [
    encodeHeader({ ...first, openIntents: header?.openIntents ?? [] }),
    ...frames.map(encodeFrame),
  ]);
  return fetched;
}

interface RightPlace {
  readonly seq: number;
  readonly prev: string;
  readonly logId: string;
  /** The tree's; undefined beyond the last checkpoint, where the chain alone decides. */
  readonly leaf: string | undefined;
}

function isRight(record: SealedRecord, leaf: string, place: RightPlace): boolean {
  const envelope = parseEnvelope(record.envelope);
  return (
    envelope?.seq === place.seq &&
    envelope.log === place.logId &&
    envelope.prev === place.prev &&
    leafOf(record.envelope) === leaf &&
    (place.leaf === undefined || place.leaf === leaf)
  );
}

function toRecord(row: AuditRow | undefined): SealedRecord | undefined {
  if (row === undefined || row.envelope === null) return undefined;
  return { envelope: row.envelope, details: row.details ?? "" };
}

function firstPrev(frames: readonly SealedRecord[]): string {
  return parseEnvelope(frames[0]?.envelope ?? "")?.prev ?? genesisLeaf;
}

function encodeFrame(record: SealedRecord): Buffer {
  const frame = Buffer.alloc(recordFrameBytesMax(record));
  return frame.subarray(0, writeRecord(frame, 0, record).end);
}

function replaceSegment({ path }: SegmentFile, frames: readonly Uint8Array[]): void {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const unfinished = path + unfinishedSuffix;
  const file = fs.openSync(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    fs.writeFileSync(file, Buffer.concat(frames));
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
  // At no moment is there no segment of this name.
  fs.rmSync(path + keptSuffix, { force: true });
  fs.linkSync(path, path + keptSuffix);
  fs.renameSync(unfinished, path);
  unmarkDamaged(path);
  syncDir(dirname(path));
}
