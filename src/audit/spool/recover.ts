/**
 * Reads the spool as a crash left it: where the chain ends, which intents were never closed, what is damaged and
 * what was left unfinished. Changes nothing; the writer makes sure of what is there and starts a new segment where
 * it must.
 *
 * A sync covers all that was written before it, so a record that cannot be read was acknowledged only if a mark says
 * that it had been synced: then it is damage, which is named, stepped over and never cut (ST-14). Without that proof
 * the log ends before it, and what follows is left over: nobody was told of it (ST-13).
 */
import { type EnvelopeHead, genesisLeaf, parseEnvelope, parseEnvelopeHead } from "../envelope.ts";
import type { SpoolDisk } from "./disk.ts";
import { listSegments, type SegmentFile } from "./files.ts";
import { type FramePlace, leafAt } from "./format.ts";
import { partsFrom, type SegmentScan, scanFrames } from "./scan.ts";

export interface SpoolDamage {
  readonly segment: string;
  readonly from: number;
  readonly to: number;
  /** `torn`: never acknowledged, so nothing is lost. */
  readonly kind: "bytes" | "chain" | "header" | "torn";
}

export interface ActiveSegment extends SegmentFile {
  readonly bytes: Uint8Array;
  /** Where its records end. */
  readonly soundEnd: number;
  /** What is not known to be on the disk though it could be read, and where it stands. */
  readonly unsure: Uint8Array;
  readonly unsureFrom: number;
  /** Whether it can be written on, cut back to `soundEnd`; otherwise it stays as it is and a new one is started. */
  readonly goesOn: boolean;
}

export interface Recovered {
  readonly lastSeq: number;
  readonly lastLeaf: string;
  /** Undefined where no record was read. */
  readonly lastTimeMs: number | undefined;
  readonly openIntents: readonly number[];
  readonly damage: readonly SpoolDamage[];
  /** The newest segment; undefined in an empty spool. */
  readonly active: ActiveSegment | undefined;
}

interface Found {
  readonly file: SegmentFile;
  readonly bytes: Buffer;
  readonly scan: SegmentScan<FoundRecord>;
}

interface FoundRecord extends FramePlace {
  readonly leaf: string;
}

interface Position {
  seq: number;
  leaf: string;
  timeMs: number | undefined;
  /** In the segment that is followed: where the accepted records end, and where those start that may be unsynced. */
  end: number;
  unsureFrom: number;
  readonly openIntents: Set<number>;
  readonly damage: SpoolDamage[];
}

/** Recovers from the newest segment whose header is sound; older ones need not be read. */
export function recoverSpool(disk: Pick<SpoolDisk, "list" | "read">, dir: string): Recovered {
  const found: Found[] = [];
  for (const file of listSegments(dir, disk.list(dir)).toReversed()) {
    const bytes = disk.read(file.path);
    const scan = scanFrames(bytes, ({ start, split, end }) => {
      return { start, split, end, leaf: leafAt(bytes, { start, split, end }) };
    });
    found.unshift({ file, bytes, scan });
    if (scan.header !== undefined) break;
  }
  const header = found[0]?.scan.header;
  const position: Position = {
    seq: (header?.firstSeq ?? 1) - 1,
    leaf: header?.prev ?? genesisLeaf,
    timeMs: undefined,
    end: 0,
    unsureFrom: 0,
    openIntents: new Set(header?.openIntents),
    damage: [],
  };
  // A segment begins when everything before it is synced.
  const proven = found.flatMap(({ file, scan }) => [file.firstSeq - 1, scan.syncedSeq]);
  const syncedSeq = Math.max(0, ...proven);
  found.forEach((one, index) => {
    const nextFirstSeq = found[index + 1]?.file.firstSeq ?? Number.POSITIVE_INFINITY;
    follow(position, one, syncedSeq, nextFirstSeq);
  });
  const last = found.at(-1);
  return {
    lastSeq: position.seq,
    lastLeaf: position.leaf,
    lastTimeMs: position.timeMs,
    openIntents: [...position.openIntents],
    damage: position.damage,
    active: last && toActive(last, position),
  };
}

function toActive({ file, bytes, scan }: Found, position: Position): ActiveSegment {
  const goesOn = position.damage.length === 0;
  const soundEnd = goesOn ? scan.soundEnd : position.end;
  // The marks between the records count too: one that is lost would look like damage.
  const unsureFrom = Math.min(position.unsureFrom, soundEnd);
  const unsure = bytes.subarray(unsureFrom, soundEnd);
  return { ...file, bytes, soundEnd, unsure, unsureFrom, goesOn };
}

function follow(
  position: Position,
  { file, bytes, scan }: Found,
  syncedSeq: number,
  nextFirstSeq: number,
): void {
  const report = (kind: SpoolDamage["kind"], from: number, to: number) =>
    position.damage.push({ segment: file.path, from, to, kind });
  if (scan.header === undefined) report("header", 0, scan.soundEnd);
  position.end = scan.headerEnd;
  position.unsureFrom = scan.headerEnd;
  let isTorn = false;
  const last = scan.records.at(-1);
  for (const record of scan.records) {
    const text = bytes.toString("utf8", record.start + partsFrom, record.split);
    // The others are vouched for by those that follow them.
    const isWhole = record !== last || parseEnvelope(text) !== undefined;
    const envelope = isWhole ? parseEnvelopeHead(text) : undefined;
    // What a successor begins with stands there (see `openSegment` in the writer).
    if (envelope === undefined || envelope.seq >= nextFirstSeq) break;
    const { end } = position;
    const isBehindDamage = scan.damage.some(({ from }) => from >= end && from < record.start);
    const isNext = envelope.seq === position.seq + 1 && envelope.prev === position.leaf;
    isTorn = position.seq >= syncedSeq && (isBehindDamage || !isNext);
    if (isTorn) break;
    // After damage the chain cannot link; the damage itself is reported.
    if (!isNext && scan.damage.length === 0 && scan.header !== undefined) {
      report("chain", envelope.seq, envelope.seq);
    }
    take(position, record, envelope, syncedSeq);
  }
  const isMissing = position.seq < Math.min(syncedSeq, nextFirstSeq - 1);
  const damaged = scan.damage.filter(({ from }) => isMissing || from < position.end);
  for (const { from, to } of damaged) report("bytes", from, to);
  if (isMissing && damaged.length === 0) report("bytes", position.end, bytes.length);
  const isLast = nextFirstSeq === Number.POSITIVE_INFINITY;
  if (isLast && !isMissing && (isTorn || damaged.length < scan.damage.length)) {
    report("torn", position.end, bytes.length);
  }
}

function take(
  position: Position,
  record: FoundRecord,
  { seq, time, event, intent }: EnvelopeHead,
  syncedSeq: number,
): void {
  if (seq <= syncedSeq) position.unsureFrom = record.end;
  position.seq = seq;
  position.leaf = record.leaf;
  position.timeMs = time;
  position.end = record.end;
  if (event === "call.intent") position.openIntents.add(seq);
  if (intent !== undefined) position.openIntents.delete(intent);
}
