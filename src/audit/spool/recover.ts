/**
 * Reads the spool as a crash left it: where the chain ends, which intents were never closed, what is damaged and
 * where a torn tail begins. Changes nothing; the writer cuts the tail and starts a new segment where it must.
 */
import { readFileSync } from "node:fs";
import { genesisLeaf, parseEnvelope } from "../envelope.ts";
import { listSegments, type SegmentFile } from "./files.ts";
import { type SegmentScan, scanSegment } from "./format.ts";

export interface SpoolDamage {
  readonly segment: string;
  readonly from: number;
  readonly to: number;
  readonly kind: "bytes" | "chain" | "header";
}

export interface Recovered {
  readonly lastSeq: number;
  readonly lastLeaf: string;
  readonly openIntents: readonly number[];
  readonly damage: readonly SpoolDamage[];
  /** The segment to go on writing, cut back to `soundEnd`; undefined where a new one must be started. */
  readonly active: (SegmentFile & { readonly soundEnd: number }) | undefined;
}

interface Position {
  seq: number;
  leaf: string;
  readonly openIntents: Set<number>;
  readonly damage: SpoolDamage[];
}

/** Recovers from the newest segment whose header is sound; older ones need not be read. */
export function recoverSpool(dir: string): Recovered {
  const segments = listSegments(dir);
  const scans: { file: SegmentFile; scan: SegmentScan }[] = [];
  for (const file of segments.toReversed()) {
    const scan = scanSegment(readFileSync(file.path));
    scans.unshift({ file, scan });
    if (scan.header !== undefined) break;
  }
  const header = scans[0]?.scan.header;
  const position: Position = {
    seq: (header?.firstSeq ?? 1) - 1,
    leaf: header?.prev ?? genesisLeaf,
    openIntents: new Set(header?.openIntents),
    damage: [],
  };
  for (const { file, scan } of scans) follow(position, file, scan);
  const last = scans.at(-1);
  const canGoOn = last !== undefined && position.damage.length === 0;
  return {
    lastSeq: position.seq,
    lastLeaf: position.leaf,
    openIntents: [...position.openIntents],
    damage: position.damage,
    active: canGoOn ? { ...last.file, soundEnd: last.scan.soundEnd } : undefined,
  };
}

function follow(position: Position, file: SegmentFile, scan: SegmentScan): void {
  const report = (kind: SpoolDamage["kind"], from: number, to: number) =>
    position.damage.push({ segment: file.path, from, to, kind });
  if (scan.header === undefined) report("header", 0, scan.soundEnd);
  for (const { from, to } of scan.damage) report("bytes", from, to);
  for (const record of scan.records) {
    const envelope = parseEnvelope(record.envelope);
    if (envelope === undefined) continue;
    // After damage the chain cannot link; the damage itself was already reported.
    if (envelope.prev !== position.leaf && scan.damage.length === 0 && scan.header !== undefined) {
      report("chain", envelope.seq, envelope.seq);
    }
    position.seq = envelope.seq;
    position.leaf = record.leaf;
    if (envelope.event === "call.intent") position.openIntents.add(envelope.seq);
    if (typeof envelope.facts.intent === "number") {
      position.openIntents.delete(envelope.facts.intent);
    }
  }
}
