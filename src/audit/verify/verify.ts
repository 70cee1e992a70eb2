/**
 * The doors to verification: of a spool directory with the evidence beside it, and of the database's copy, page by
 * page. Needs no running gateway. Asked by `AuditService.VerifyLog` and by `audit verify`; exports are read by
 * `read-export.ts`, and what is wrong with a log is decided by `log-verifier.ts`.
 */
import { join } from "node:path";
import type { AuditStore } from "../../storage/store.ts";
import { logIdOf } from "../evidence/checkpoint.ts";
import type { VerifierKey } from "../evidence/keys.ts";
import type { Opener } from "../opener.ts";
import { listSegments, type SegmentFile } from "../spool/files.ts";
import type { SegmentHeader } from "../spool/format.ts";
import type { Outlined } from "./diagnosis.ts";
import type { VerifyReport } from "./findings.ts";
import { createLogVerifier, type LogVerifier, toOutlined } from "./log-verifier.ts";
import type { Landmark } from "./orders.ts";
import { findLandmarks, readEvidence, readSegment, type SpoolPiece } from "./read-spool.ts";
import { findStoredLandmarks, readStoredRecords } from "./read-store.ts";
import type { VerifiableRecord } from "./verifiable-record.ts";

export interface VerifyOptions {
  /** The node keys to trust; with none, the chain alone is checked. */
  readonly keys?: readonly VerifierKey[];
  /** Checkpoints kept elsewhere, which the log must contain. */
  readonly known?: readonly string[];
}

interface Segment {
  readonly file: SegmentFile;
  readonly nextFirstSeq: number;
}

/** Verifies the segments of a spool directory: what is there, from the oldest one's header on. */
export function verifySpool(
  dir: string,
  {
    evidenceDir = join(dir, "..", "evidence"),
    ...options
  }: VerifyOptions & { readonly evidenceDir?: string } = {},
): VerifyReport {
  // First: what is signed meanwhile would look cut.
  const evidence = readEvidence(evidenceDir);
  const segments = listSegments(dir).map((file, index, all): Segment => {
    return { file, nextFirstSeq: all[index + 1]?.firstSeq ?? Number.POSITIVE_INFINITY };
  });
  const opening = segments[0] && readHeader(segments[0]);
  // Where no segment is left, a checkpoint still says which log there was.
  const logId = opening?.log ?? findLogId([...evidence.checkpoints, ...(options.known ?? [])]);
  const verifier = createLogVerifier({
    logId,
    ...(opening === undefined ? {} : { start: { seq: opening.firstSeq - 1, leaf: opening.prev } }),
    ...evidence,
    ...options,
    landmarks: findLandmarks(segments.map(({ file }) => file)),
  });
  for (const segment of segments) {
    if (verifier.isBroken) break;
    pushSegment(verifier, logId, segment);
  }
  if (verifier.lacksOrders) verifier.addLate(findLandmarks(listSegments(dir)));
  return verifier.finish(() => rereadSegments(logId, segments));
}

function findLogId([note = ""]: readonly string[]): string {
  return logIdOf(note.split("\n", 1)[0] ?? "") ?? "";
}

function pushSegment(verifier: LogVerifier, logId: string, { file, nextFirstSeq }: Segment): void {
  const pieces = readSegment(file, nextFirstSeq);
  const header = takeHeader(pieces);
  if (header === undefined) {
    verifier.fault(file.firstSeq, "damage", "its segment has no sound header");
    return;
  }
  if (header.log !== logId) {
    verifier.fault(file.firstSeq, "splice", `its segment is of the log ${header.log}`);
  }
  if (header.firstSeq !== file.firstSeq) {
    verifier.fault(file.firstSeq, "edit", "its segment's header names another record");
  }
  const isMisnamed = header.firstSeq === verifier.lastSeq + 1 && header.prev !== verifier.lastLeaf;
  for (const piece of pieces) {
    pushPiece(verifier, piece, nextFirstSeq);
    // Where the first record agrees with the one before it, it is the header that was changed.
    if (piece.kind === "record" && isMisnamed && verifier.isInOrder) {
      verifier.fault(
        header.firstSeq,
        "edit",
        "its segment's header names another record before it",
      );
    }
  }
}

function readHeader({ file, nextFirstSeq }: Segment): SegmentHeader | undefined {
  return takeHeader(readSegment(file, nextFirstSeq));
}

/** Every segment opens with its header. */
function takeHeader(pieces: Iterator<SpoolPiece>): SegmentHeader | undefined {
  const { value } = pieces.next();
  return value?.kind === "header" ? value.header : undefined;
}

function pushPiece(verifier: LogVerifier, piece: SpoolPiece, nextFirstSeq: number): void {
  const next = verifier.lastSeq + 1;
  if (piece.kind === "damage" && next < nextFirstSeq) {
    verifier.fault(next, "damage", "its bytes are damaged");
  }
  if (piece.kind !== "record") return;
  const { envelope, leaf, part } = piece;
  if (envelope === undefined) verifier.fault(next, "edit", "its envelope cannot be read");
  else verifier.push({ seq: envelope.seq, envelope, leaf, part });
}

function* rereadSegments(logId: string, segments: readonly Segment[]): Generator<Outlined> {
  for (const { file, nextFirstSeq } of segments) {
    for (const piece of readSegment(file, nextFirstSeq)) {
      if (piece.kind !== "record" || piece.envelope === undefined) continue;
      yield toOutlined(logId, { ...piece, seq: piece.envelope.seq });
    }
  }
}

export interface VerifyStoreOptions extends VerifyOptions {
  readonly checkpoints?: readonly string[];
  readonly certificates?: readonly string[];
  /** Opens sealed parts, where their keys are at hand. */
  readonly opener?: Opener;
  /** Orders and starts of all logs, where several are verified; found in the database otherwise. */
  readonly landmarks?: readonly Landmark[];
  readonly seenOrders?: Set<string>;
  readonly signedSizes?: ReadonlyMap<string, number>;
}

/** The logs the database holds records of: one a node, and one more for each time a spool was lost. */
export async function listLogs(store: Pick<AuditStore, "scan">): Promise<readonly string[]> {
  const found: string[] = [];
  const next = { filter: {}, limit: 1, order: "ascending", includePruned: true } as const;
  let page = await store.scan(next);
  for (let row = page.rows[0]; row !== undefined; row = page.rows[0]) {
    found.push(row.logId);
    page = await store.scan({ ...next, after: { logId: row.logId, seq: Number.MAX_SAFE_INTEGER } });
  }
  return found;
}

/** Verifies the database's copy of a log, page by page. */
export async function verifyStore(
  store: Pick<AuditStore, "scan">,
  logId: string,
  { opener, ...options }: VerifyStoreOptions = {},
): Promise<VerifyReport> {
  const landmarks = options.landmarks ?? (await findStoredLandmarks(store));
  const seenOrders = options.seenOrders ?? new Set(landmarks.map(({ leaf }) => leaf));
  const own = landmarks.filter(({ envelope }) => envelope.log === logId);
  // That orders of other logs stand soundly in these is found when those logs are verified by themselves.
  for (const { leaf } of own) seenOrders.delete(leaf);
  const verifier = createLogVerifier({ logId, ...options, landmarks, seenOrders });
  for await (const { record, problem, isUnreadable } of readStoredRecords(store, logId, opener)) {
    if (isUnreadable) verifier.fault(record.seq, "edit", "its envelope cannot be read");
    verifier.push(record);
    if (problem !== undefined) verifier.fault(record.place ?? record.seq, "edit", problem);
    if (verifier.isBroken) break;
  }
  // A gateway may have erased since: what was there when orders were looked for, and gone when its turn came.
  if (verifier.lacksOrders) verifier.addLate(await findStoredLandmarks(store));
  const again: Outlined[] = [];
  if (!verifier.isInOrder) {
    for await (const { record } of readStoredRecords(store, logId, undefined)) {
      again.push(toOutlined(logId, record satisfies VerifiableRecord));
    }
  }
  return verifier.finish(() => again);
}
