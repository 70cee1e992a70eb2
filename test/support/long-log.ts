/**
 * A data folder with a long log, as a gateway has it that has run for a day: segments of the spool written by the
 * product's own writer, their tree, certificate and checkpoints by its own notary, and the database's head. Only the
 * sync after each group is left out, so that gigabytes take a minute. Nothing is closed at the end, as in a crash. For
 * `scripts/restart-bench.ts`; asserts nothing.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { certifyBootKey } from "../../src/audit/evidence/boot-certificate.ts";
import { keepCertificate } from "../../src/audit/evidence/certificates.ts";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { evidenceFolder } from "../../src/audit/evidence/checkpoint-file.ts";
import { realEvidenceDisk } from "../../src/audit/evidence/disk.ts";
import { parseVerifierKey } from "../../src/audit/evidence/keys.ts";
import { loadNodeKey } from "../../src/audit/evidence/node-key.ts";
import { createNotary, type Notary } from "../../src/audit/evidence/notary.ts";
import type { Adopted } from "../../src/audit/evidence/notary-messages.ts";
import { defaultEvidenceOptions } from "../../src/audit/evidence/options.ts";
import { toAuditRow } from "../../src/audit/row.ts";
import { realDisk } from "../../src/audit/spool/disk.ts";
import { renderLines } from "../../src/audit/spool/messages.ts";
import { createSpoolReader } from "../../src/audit/spool/reader.ts";
import { openSpoolWriter } from "../../src/audit/spool/writer.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createSampleSealer, samplePair } from "./sealing.ts";

export interface LongLog {
  /** Of a gateway that ran once, so that its keys and its database are there. */
  readonly dataDir: string;
  /** Bytes of whole segments, all of them signed and in the database. */
  readonly closedBytes: number;
  /** Bytes of records in the segment being written when the crash came. */
  readonly tailBytes: number;
  /** Whether the tail was signed and copied too, all but its last moment. */
  readonly isTailSigned: boolean;
  /** About how long a record of a closed segment is. */
  readonly recordBytes: number;
}

const segmentBytesMax = 64 * 1024 * 1024;
const groupRecords = 64;
/** Of a record in the tail: about what a call's record takes. */
const tailRecordBytes = 1024;
/** What a record takes beside its filling. */
const ownBytes = 900;

export interface MadeLog {
  readonly records: number;
  readonly signed: number;
  readonly spoolBytes: number;
}

export async function makeLongLog(wanted: LongLog): Promise<MadeLog> {
  const { dataDir } = wanted;
  const logId = readFileSync(join(dataDir, "node-id"), "utf8").trim();
  const dir = join(dataDir, "spool");
  let lastSeq = 0;
  let spoolBytes = 0;
  const writer = openSpoolWriter({
    dir,
    logId,
    disk: { ...realDisk, sync: (_fd, done) => done(null), syncNow: () => {} },
    clock: systemClock,
    sealer: createSampleSealer(),
    emit: (message) => {
      if (message.kind === "opened") lastSeq = message.lastSeq;
      if (message.kind === "synced") lastSeq = message.seq;
      if (message.kind === "synced" || message.kind === "opened") spoolBytes = message.spoolBytes;
    },
    options: { segmentBytesMax, reserveBytesMax: 1, probeIntervalMs: 500 },
  });
  const notary = await beginLife(dataDir, logId, lastSeq, (facts) => {
    writer.append(
      renderLines("!", samplePair.ref, { body: bodyOf("lifecycle.started", facts), values: "{}" }),
    );
    return lastSeq;
  });
  const fill = (bytes: number, recordBytes: number) => {
    const until = spoolBytes + bytes;
    for (const filling = "x".repeat(Math.max(0, recordBytes - ownBytes)); spoolBytes < until; ) {
      writer.append(renderCalls(lastSeq + 1, filling));
    }
  };
  for (let left = wanted.closedBytes; left > 0; left -= segmentBytesMax) {
    fill(Math.min(left, segmentBytesMax), wanted.recordBytes);
    notary.noteSynced(lastSeq);
  }
  // The next group begins a segment of its own.
  writer.endSegment(() => {});
  if (!wanted.isTailSigned) notary.signDue();
  const signedSeq = lastSeq;
  fill(wanted.tailBytes, tailRecordBytes);
  if (wanted.isTailSigned) {
    notary.noteSynced(lastSeq);
    notary.signDue();
  }
  const signed = wanted.isTailSigned ? lastSeq : signedSeq;
  await noteCopied(dataDir, dir, signed);
  // The last moment before the crash.
  writer.append(renderCalls(lastSeq + 1, ""));
  return { records: lastSeq, signed, spoolBytes };
}

/** A life of the process: its boot key, certified in a record that `record` writes. */
async function beginLife(
  dataDir: string,
  logId: string,
  lastSeq: number,
  record: (facts: object) => number,
): Promise<Notary> {
  const dir = evidenceFolder(dataDir);
  const found: Adopted[] = [];
  const notary = createNotary({
    place: { spoolDir: join(dataDir, "spool"), dir, logId },
    options: defaultEvidenceOptions,
    disk: realEvidenceDisk,
    clock: systemClock,
    emit: (message) => {
      if (message.kind === "adopted") found.push(message.adopted);
      if (message.kind === "refused" || message.kind === "failed") {
        throw new Error(JSON.stringify(message));
      }
    },
  });
  notary.adopt(lastSeq);
  const [adopted] = found;
  if (adopted === undefined) throw new Error("the log could not be adopted");
  const tree = { size: adopted.size, root: Buffer.from(adopted.root, "hex") };
  const nodeKey = await loadNodeKey(dataDir, originOf(logId));
  const certificate = certifyBootKey(nodeKey, parseVerifierKey(adopted.bootKey), tree);
  keepCertificate(dir, certificate);
  notary.begin(record({ version: "0", previous: adopted.previous, ...certificate }));
  return notary;
}

function bodyOf(event: string, facts: object): string {
  return `"time":${systemClock.nowMs()},"event":"${event}","class":"A","facts":${JSON.stringify(facts)}`;
}

/** A group of calls from record `seq` on: intents, each with its outcome behind it. */
function renderCalls(seq: number, filling: string): string {
  const values = `{"principal":"user-1","client":"client-1","peer":"127.0.0.1","arguments":"${filling}"}`;
  const call = { method: "tools/call", tool: "echo", server: "tiny", scope: "tiny" };
  const lines: string[] = [];
  for (let at = 0; at < groupRecords; at += 2) {
    const correlationId = `01a1ff2a-380a-77ae-a8dd-${String(seq + at).padStart(12, "0")}`;
    const facts = { ...call, correlationId, decision: "rule:all", policyRevision: 7 };
    const intent = { body: bodyOf("call.intent", facts), values };
    const ended = { ...facts, intent: seq + at, status: "success", durationUs: 1500, bytes: 120 };
    const outcome = { body: bodyOf("call.outcome", ended), values };
    lines.push(renderLines("!i", samplePair.ref, intent));
    lines.push(renderLines(`!o${seq + at}`, samplePair.ref, outcome));
  }
  return lines.join("\n");
}

/** The database's last record of the log is this one; those before it are left out. */
async function noteCopied(dataDir: string, dir: string, seq: number): Promise<void> {
  const frames = await createSpoolReader(dir).read(seq - 1, seq, 1);
  const rows = frames.map(toAuditRow).filter((row) => row !== undefined);
  const store = await openStore({
    dataDir,
    log: silentLog,
    deadlineMs: 10_000,
    migrate: false,
    isDirect: true,
  });
  await store.audit.append(rows);
  await store.close();
}
