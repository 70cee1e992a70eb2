/**
 * What somebody is handed who is to believe a log: records in segments or lines, checkpoints, certificates and tiles.
 * Mutators change these; here they become files as the gateway writes them.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { ForgedLog, ForgedRecord } from "./log.ts";
import { tilesOf } from "./tree.ts";

export interface PlacedRecord extends ForgedRecord {
  /** Index of the segment that holds it. */
  readonly segment: number;
}

export interface SegmentHead {
  readonly log: string;
  readonly firstSeq: number;
  readonly prev: string;
}

export interface Artefact {
  readonly log: string;
  /** The keys that the reader pinned. */
  readonly keys: readonly string[];
  heads: SegmentHead[];
  records: PlacedRecord[];
  checkpoints: string[];
  /** Checkpoints the reader kept from elsewhere. */
  known: string[];
  certificates: string[];
  tiles: Map<string, Buffer>;
}

const segmentRecords = 40;

export function toArtefact(log: ForgedLog, checkpoints = [log.checkpoint()]): Artefact {
  const records = log.records.map((record, index) => ({
    ...record,
    segment: Math.floor(index / segmentRecords),
  }));
  return {
    log: log.id,
    keys: [log.pinned],
    heads: headsOf(log.id, records),
    records,
    checkpoints,
    known: [],
    certificates: [...log.certificates],
    tiles: tilesOf(records.map(({ leaf }) => Buffer.from(leaf, "hex"))),
  };
}

function headsOf(log: string, records: readonly PlacedRecord[]): SegmentHead[] {
  const heads: SegmentHead[] = [];
  records.forEach(({ segment }, index) => {
    const prev = records[index - 1]?.leaf ?? "0".repeat(64);
    heads[segment] ??= { log, firstSeq: index + 1, prev };
  });
  return heads;
}

function frame(kind: number, first: string, second = ""): Buffer {
  const [a, b] = [Buffer.from(first), Buffer.from(second)];
  const payload = Buffer.concat([Buffer.alloc(5), a, b]);
  payload.writeUInt32LE(a.length, 0);
  payload[4] = kind;
  const head = Buffer.alloc(8);
  head.writeUInt32LE(payload.length, 0);
  head.writeUInt32LE(crc32(payload), 4);
  return Buffer.concat([head, payload]);
}

/** Writes `<dir>/spool` and `<dir>/evidence`. */
export function writeSpool(artefact: Artefact, dir: string): void {
  const put = (path: string, bytes: string | Buffer) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), bytes);
  };
  artefact.heads.forEach((head, index) => {
    const own = artefact.records.filter(({ segment }) => segment === index);
    const frames = own.map(({ envelope, sealed }) => frame(0, envelope ?? "", sealed ?? ""));
    const header = frame(0x80, JSON.stringify({ v: 2, ...head, openIntents: [] }));
    if (index > 0 && own.length === 0) return;
    const name = `${String(head.firstSeq).padStart(16, "0")}.seg`;
    put(`spool/${name}`, Buffer.concat([header, ...frames]));
  });
  const [checkpoint] = artefact.checkpoints;
  if (checkpoint !== undefined) put("evidence/checkpoint", checkpoint);
  for (const [path, bytes] of artefact.tiles) put(`evidence/tile/${path}`, bytes);
  artefact.certificates.forEach((note, index) => {
    put(`evidence/certificates/${index}`, note);
  });
}

/** A whole export as JSON lines; `proofOf` gives each record's proof, where the export is of single records. */
export function renderExport(
  artefact: Artefact,
  proofOf?: (seq: number) => readonly string[],
): string {
  const { log } = artefact;
  const lines: object[] = [
    { kind: "export", v: 1, contiguous: proofOf === undefined },
    ...artefact.checkpoints.map((note) => ({ kind: "checkpoint", log, note })),
    ...artefact.certificates.map((note) => ({ kind: "certificate", log, note })),
  ];
  for (const { envelope, sealed, leaf, ...record } of artefact.records) {
    const seq = envelope === null ? record.seq : JSON.parse(envelope).seq;
    const proof = proofOf === undefined ? {} : { proof: proofOf(seq) };
    lines.push({ kind: "record", log, seq, leaf, envelope, sealed, ...proof });
  }
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const sha256 = createHash("sha256").update(text).digest("hex");
  const manifest = { kind: "manifest", count: artefact.records.length, sha256 };
  return `${text}${JSON.stringify(manifest)}\n`;
}
