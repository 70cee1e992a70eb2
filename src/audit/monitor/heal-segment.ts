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
import { realEvidenceDisk } from "../evidence/disk.ts";
import { keptSuffix, listSegments, type SegmentFile, unmarkDamaged } from "../spool/files.ts";
import {
  encodeHeader,
  type RecordFrame,
  recordFrameBytesMax,
  writeRecord,
} from "../spool/format.ts";
import { scanSegment } from "../spool/scan.ts";
import type { LawfulAbsence } from "./orders.ts";
import { readSegmentHeader } from "./segment-header.ts";

export interface HealableSegment extends SegmentFile {
  readonly lastSeq: number;
  /** What its successor says its last leaf is. */
  readonly lastLeaf: string;
}

const unfinishedSuffix = ".healed.new";

/** The closed segment that holds a record; undefined where it is the newest, or its successor is damaged too. */
export function findClosedSegment(dir: string, seq: number): HealableSegment | undefined {
  const segments = listSegments(dir);
  const at = segments.findLastIndex((one) => one.firstSeq <= seq);
  const [segment, next] = [segments[at], segments[at + 1]];
  if (segment === undefined || next === undefined) return undefined;
  const header = readSegmentHeader(next.path);
  if (header?.firstSeq !== next.firstSeq) return undefined;
  return { ...segment, lastSeq: next.firstSeq - 1, lastLeaf: header.prev };
}

export interface SegmentSources {
  readonly logId: string;
  /** The tree's leaves, where it reaches. */
  readonly leafAt: (seq: number) => string | undefined;
  /** The database's rows of a range, those that are there. */
  readonly fetch: (from: number, to: number) => Promise<readonly AuditRow[]>;
  readonly absence: LawfulAbsence;
}

/** Rows asked for at once. */
const fetchMax = 500;

/** Heals it; returns the records that came from the database, or undefined where they are not all to be had. */
export async function healSegment(
  segment: HealableSegment,
  sources: SegmentSources,
): Promise<readonly number[] | undefined> {
  const { header, records } = scanSegment(fs.readFileSync(segment.path));
  const sound = new Map(records.map((one) => [parseEnvelope(one.envelope)?.seq ?? 0, one]));
  const fetched: number[] = [];
  for (let seq = segment.firstSeq; seq <= segment.lastSeq; seq += 1) {
    const own = sound.get(seq);
    const leaf = sources.leafAt(seq);
    if (own === undefined || (leaf !== undefined && own.leaf !== leaf)) fetched.push(seq);
  }
  const rows = await fetchAll(fetched, sources);
  const frames: SealedRecord[] = [];
  const firstPrev = header?.prev ?? (segment.firstSeq === 1 ? genesisLeaf : undefined);
  let prev = firstPrev;
  for (let seq = segment.firstSeq; seq <= segment.lastSeq; seq += 1) {
    const record = rows.get(seq) ?? sound.get(seq);
    // A header that is gone said what the first record says as well; the tree vouches for that one.
    prev ??= parseEnvelope(record?.envelope ?? "")?.prev;
    const place = { seq, prev: prev ?? "", logId: sources.logId, leaf: sources.leafAt(seq) };
    if (record === undefined || !isRight(record, place)) return undefined;
    const details = toPart(seq, record.details, sources.absence);
    if (details === undefined) return undefined;
    frames.push({ envelope: record.envelope, details });
    prev = record.leaf;
  }
  if (prev !== segment.lastLeaf) return undefined;
  const opening = encodeHeader({
    v: 2,
    log: sources.logId,
    firstSeq: segment.firstSeq,
    prev: parseEnvelope(frames[0]?.envelope ?? "")?.prev ?? genesisLeaf,
    openIntents: header?.openIntents ?? [],
  });
  replaceSegment(segment, [opening, ...frames.map(encodeFrame)]);
  return fetched;
}

/**
 * What healing may write beside a record's envelope: its sealed part, or nothing where that was ordered away; undefined
 * where that is still to be swept, and healing has to wait.
 */
export function toPart(seq: number, details: string, absence: LawfulAbsence): string | undefined {
  if (details === "" || absence.mayBeGone(seq, "details")) return "";
  return absence.mayBeWritten(seq, details) ? details : undefined;
}

async function fetchAll(
  seqs: readonly number[],
  { fetch }: SegmentSources,
): Promise<ReadonlyMap<number, RecordFrame>> {
  const rows = new Map<number, RecordFrame>();
  const wanted = new Set(seqs);
  for (let at = 0; at < seqs.length; ) {
    const from = seqs[at] ?? 0;
    const to = from + fetchMax - 1;
    for (const { seq, envelope, details, leaf } of await fetch(from, to)) {
      if (envelope === null || !wanted.has(seq)) continue;
      rows.set(seq, { envelope, details: details ?? "", leaf });
    }
    while ((seqs[at] ?? Number.POSITIVE_INFINITY) <= to) at += 1;
  }
  return rows;
}

interface RightPlace {
  readonly seq: number;
  readonly prev: string;
  readonly logId: string;
  /** The tree's; undefined beyond the last checkpoint, where the chain alone decides. */
  readonly leaf: string | undefined;
}

function isRight(record: RecordFrame, place: RightPlace): boolean {
  const envelope = parseEnvelope(record.envelope);
  return (
    envelope?.seq === place.seq &&
    envelope.log === place.logId &&
    envelope.prev === place.prev &&
    leafOf(record.envelope) === record.leaf &&
    (place.leaf === undefined || place.leaf === record.leaf)
  );
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
  realEvidenceDisk.syncFolder(dirname(path));
}
