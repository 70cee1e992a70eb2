/**
 * Verifies an export of records as JSON lines, a line at a time: a whole log by its chain and tree, single records by
 * the proof that each carries. docs/audit.md has the lines; `../export-lines.ts` writes them.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type EnvelopeView, leafOf, parseEnvelope } from "../envelope.ts";
import { logIdOf } from "../evidence/checkpoint.ts";
import { type ExportLine, type ExportRecordLine, parseExportLine } from "../export-lines.ts";
import { signedSizeOf } from "./checkpoints.ts";
import type { Outlined } from "./diagnosis.ts";
import { type VerifyReport, violationOf } from "./findings.ts";
import { isIncluded } from "./inclusion.ts";
import { createLogVerifier, type LogVerifier, toOutlined } from "./log-verifier.ts";
import { type Landmark, landmarkEvents, toLandmark } from "./orders.ts";
import { partOf } from "./read-spool.ts";
import { createSelectionVerifier } from "./selection.ts";
import type { VerifiableRecord } from "./verifiable-record.ts";
import type { VerifyOptions } from "./verify.ts";

/** What stands apart from an export's records, read ahead of them. */
interface Preface {
  isContiguous: boolean;
  isHidden: boolean;
  /** Logs that checkpoints or certificates are of: there must be records of them where whole logs follow. */
  readonly logs: Set<string>;
  readonly checkpoints: Map<string, string[]>;
  readonly certificates: string[];
  /** Records that hand the node's key over, of all logs. */
  readonly handOvers: EnvelopeView[];
  readonly landmarks: { readonly landmark: Landmark; readonly isProved: boolean }[];
}

const lineFeed = 0x0a;

/** One report a log; rejects where the file is no export. */
export async function verifyExport(
  path: string,
  options: VerifyOptions = {},
): Promise<readonly VerifyReport[]> {
  const preface = await readPreface(path);
  const seenOrders = new Set<string>();
  const verifiers = new Map<string, LogVerifier>();
  const hash = createHash("sha256");
  let manifest: Extract<ExportLine, { kind: "manifest" }> | undefined;
  let count = 0;
  const verifierOf = (logId: string) => {
    const found = verifiers.get(logId) ?? createVerifier(logId, preface, options, seenOrders);
    verifiers.set(logId, found);
    return found;
  };
  for await (const { line, bytes } of readLines(path)) {
    if (line.kind === "manifest") manifest = line;
    else hash.update(bytes).update("\n");
    if (line.kind !== "record") continue;
    count += 1;
    pushLine(verifierOf(line.log), line, preface);
  }
  for (const logId of listAwaited(preface, options)) verifierOf(logId);
  // Nothing is no whole log either, where one was to be signed.
  if (verifiers.size === 0) verifiers.set("", createEmptyVerifier(preface, options));
  const reports: VerifyReport[] = [];
  for (const [logId, verifier] of verifiers) {
    const again = verifier.isInOrder ? [] : await rereadLog(path, logId);
    reports.push(verifier.finish(() => again));
  }
  return withManifest(reports, manifest, { count, sha256: hash.digest("hex") });
}

/** A whole log cannot be gone without a trace: what speaks of it is held against what is there of it. */
function listAwaited(preface: Preface, { known = [] }: VerifyOptions): readonly string[] {
  if (!preface.isContiguous) return [];
  const kept = known.map((note) => logIdOf(note.split("\n", 1)[0] ?? "") ?? "");
  return [...preface.logs, ...kept];
}

function createEmptyVerifier({ isContiguous }: Preface, { keys = [] }: VerifyOptions) {
  return createLogVerifier({ logId: "", keys: isContiguous ? keys : [] });
}

function createVerifier(
  logId: string,
  preface: Preface,
  options: VerifyOptions,
  seenOrders: Set<string>,
): LogVerifier {
  const checkpoints = preface.checkpoints.get(logId) ?? [];
  const { certificates, landmarks, isContiguous } = preface;
  const shared = { logId, ...options, checkpoints, certificates };
  if (!isContiguous) {
    const proved = landmarks.filter(({ isProved }) => isProved).map(({ landmark }) => landmark);
    const handOvers = preface.handOvers.filter(({ log }) => log === logId);
    return createSelectionVerifier({ ...shared, landmarks: proved, handOvers });
  }
  const signedSizes = [...preface.checkpoints].map(
    ([log, notes]) => [log, signedSizeOf(notes)] as const,
  );
  return createLogVerifier({
    ...shared,
    signedSizes: new Map(signedSizes),
    landmarks: landmarks.map(({ landmark }) => landmark),
    seenOrders,
  });
}

function pushLine(verifier: LogVerifier, line: ExportRecordLine, preface: Preface): void {
  const record = toRecord(line, preface.isHidden);
  if (line.envelope !== null && record.envelope === undefined) {
    verifier.fault(line.seq, "edit", "its envelope cannot be read");
  }
  verifier.push(record);
  const [note] = preface.checkpoints.get(line.log) ?? [];
  if (line.proof === undefined || note === undefined) return;
  if (!isIncluded(note, record.seq, record.leaf, line.proof)) {
    verifier.fault(record.seq, "edit", "its proof does not lead to the signed root");
  }
}

function toRecord(line: ExportRecordLine, isHidden = false): VerifiableRecord {
  const { seq, leaf, envelope: text, sealed, proof } = line;
  const envelope = text === null ? undefined : parseEnvelope(text);
  return {
    seq: envelope?.seq ?? seq,
    place: seq,
    envelope,
    leaf: text === null ? leaf : leafOf(text),
    storedLeaf: leaf,
    part: isHidden && sealed === null ? "sealed" : partOf(sealed),
    ...(proof === undefined ? {} : { proof }),
  };
}

async function readPreface(path: string): Promise<Preface> {
  const preface: Preface = {
    isContiguous: false,
    isHidden: false,
    logs: new Set(),
    checkpoints: new Map(),
    certificates: [],
    handOvers: [],
    landmarks: [],
  };
  let isExport = false;
  for await (const { line } of readLines(path)) {
    // The first line says what the export is; what claims to be another one does not.
    if (!isExport && line.kind !== "export") break;
    if (line.kind === "export" && !isExport) {
      isExport = true;
      preface.isContiguous = line.contiguous;
      preface.isHidden = line.hidden === true;
    } else if (line.kind === "checkpoint") {
      const notes = preface.checkpoints.get(line.log) ?? [];
      preface.checkpoints.set(line.log, [...notes, line.note]);
    } else if (line.kind === "certificate") preface.certificates.push(line.note);
    else if (line.kind === "record" || line.kind === "support") addLandmark(preface, line);
    if (line.kind === "checkpoint" || line.kind === "certificate") preface.logs.add(line.log);
  }
  if (!isExport) throw new Error(`${path} is not an export of audit records as JSON lines`);
  return preface;
}

function addLandmark(preface: Preface, line: Extract<ExportLine, { kind: "record" | "support" }>) {
  const { envelope, log, proof } = line;
  if (line.kind === "support") preface.handOvers.push(...(toHandOver(line.envelope) ?? []));
  if (
    envelope === null ||
    !landmarkEvents.some((event) => envelope.includes(`"event":"${event}"`))
  ) {
    return;
  }
  const leaf = leafOf(envelope);
  const landmark = toLandmark(envelope, leaf);
  if (landmark === undefined) return;
  const [note] = preface.checkpoints.get(log) ?? [];
  const { seq } = landmark.envelope;
  const isProved = note !== undefined && proof !== undefined && isIncluded(note, seq, leaf, proof);
  preface.landmarks.push({ landmark, isProved });
}

function toHandOver(text: string): readonly EnvelopeView[] | undefined {
  const envelope = parseEnvelope(text);
  return envelope?.event === "keys.rotated" ? [envelope] : undefined;
}

interface ReadLine {
  readonly line: ExportLine;
  readonly bytes: Buffer;
}

async function* readLines(path: string): AsyncGenerator<ReadLine> {
  for await (const bytes of splitLines(path)) {
    const line = parseExportLine(bytes.toString());
    if (line === undefined) throw new Error(`${path} holds a line that is none of an export`);
    yield { line, bytes };
  }
}

/** A line ends at its line feed alone: JSON may hold U+2028 and U+2029, at which `node:readline` ends one too. */
async function* splitLines(path: string): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, end)]);
      begun = [];
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) throw new Error(`${path} is cut short: its last line has no end`);
}

async function rereadLog(path: string, logId: string): Promise<readonly Outlined[]> {
  const found: Outlined[] = [];
  for await (const { line } of readLines(path)) {
    if (line.kind === "record" && line.log === logId) found.push(toOutlined(logId, toRecord(line)));
  }
  return found;
}

/** What is sound in itself must also be all there was. */
function withManifest(
  reports: readonly VerifyReport[],
  manifest: Extract<ExportLine, { kind: "manifest" }> | undefined,
  found: { readonly count: number; readonly sha256: string },
): readonly VerifyReport[] {
  const [first, ...others] = reports;
  if (first === undefined || reports.some((one) => one.violation !== undefined)) return reports;
  const at = others.at(-1)?.lastSeq ?? first.lastSeq;
  const violation =
    manifest === undefined
      ? violationOf(at, "cut", "the export ends before its manifest")
      : manifest.count !== found.count
        ? violationOf(at, "delete", `the export holds ${found.count} records of ${manifest.count}`)
        : manifest.sha256 === found.sha256
          ? undefined
          : violationOf(at, "damage", "the export is not what its manifest says");
  return violation === undefined
    ? reports
    : [{ ...first, ok: false, violation, undecided: undefined }, ...others];
}
