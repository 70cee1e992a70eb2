/**
 * Verifies a log, from its records alone: every leaf is recomputed, every link followed, every commitment opened,
 * and what retention removed must be covered by an order that commits to exactly those leaves. `createVerifier` is
 * pure; `verifyStore` and `verifySpool` feed it from the database and from a spool directory. Asked by
 * `AuditService.VerifyLog` and by `audit verify`, which needs no running gateway.
 */
import { readFileSync } from "node:fs";
import { digestLeaves, parseSeqs } from "../../lib/seqs.ts";
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import { emptyCommitment } from "../commitment.ts";
import { type EnvelopeView, genesisLeaf, leafOf, parseEnvelope } from "../envelope.ts";
import { toAuditRow } from "../row.ts";
import { parsePart } from "../sealing.ts";
import { listSegments } from "../spool/files.ts";
import { scanSegment } from "../spool/format.ts";

export interface VerifiableRecord {
  readonly seq: number;
  readonly leaf: string;
  readonly envelope: string | null;
  readonly details: string | null;
}

export type ViolationKind =
  | "gap"
  | "order"
  | "unreadable"
  | "leaf"
  | "link"
  | "commitment"
  | "details-missing"
  | "columns"
  | "pruned-without-order"
  | "damage";

export interface Violation {
  readonly seq: number;
  readonly kind: ViolationKind;
  readonly message: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly logId: string;
  readonly records: number;
  readonly pruned: number;
  readonly lastSeq: number;
  readonly lastLeaf: string;
  /** The first record that is wrong. */
  readonly violation: Violation | undefined;
}

/** What a `retention.executed` record says was deleted. */
export interface PruneOrder {
  readonly log: string;
  readonly seqs: readonly number[];
  readonly digest: string;
}

export interface Verifier {
  /** Takes the next record; undefined where it is sound, or once a violation was found. */
  push(record: VerifiableRecord): Violation | undefined;
  /** Takes an order found in another log: any node may run retention. */
  pushOrder(order: PruneOrder): void;
  /** Says that an order will name these records. Of all that are still there only their leaves are remembered. */
  expectNamed(seqs: readonly number[]): void;
  finish(): VerifyReport;
}

/** Rows one order may name: more than any batch of retention. */
const orderRowsMax = 100_000;

/** The order in a `retention.executed` envelope; undefined for any other record. */
export function parseOrder(envelope: EnvelopeView): PruneOrder | undefined {
  if (envelope.event !== "retention.executed") return undefined;
  const { deletedLog, deletedSeqs, digest } = envelope.facts;
  if (typeof deletedSeqs !== "string" || typeof digest !== "string") return undefined;
  const seqs = parseSeqs(deletedSeqs, orderRowsMax);
  const log = typeof deletedLog === "string" ? deletedLog : envelope.log;
  return seqs && { log, seqs, digest };
}

/**
 * Verifies one log's records in order, from `start` (the first record's predecessor; the beginning of the log by
 * default).
 */
export function createVerifier(
  logId: string,
  start: { readonly seq: number; readonly leaf: string } = { seq: 0, leaf: genesisLeaf },
): Verifier {
  let { seq, leaf } = start;
  let records = 0;
  const pruned = new Map<number, string>();
  /** Of records that an order may name: the deleted ones, and those it was said to name. */
  const leaves = new Map<number, string>();
  const named = new Set<number>();
  const orders: PruneOrder[] = [];
  let violation: Violation | undefined;

  function push(record: VerifiableRecord): Violation | undefined {
    if (violation !== undefined) return undefined;
    violation = checkPlace(record, seq) ?? checkRecord(record);
    if (violation !== undefined) return violation;
    records += 1;
    seq = record.seq;
    leaf = record.leaf;
    if (record.envelope === null || named.has(seq)) leaves.set(seq, leaf);
    return undefined;
  }

  function checkRecord(record: VerifiableRecord): Violation | undefined {
    if (record.envelope === null) {
      pruned.set(record.seq, record.leaf);
      return undefined;
    }
    const envelope = parseEnvelope(record.envelope);
    if (envelope === undefined) return bad(record.seq, "unreadable", "its envelope cannot be read");
    const order = parseOrder(envelope);
    if (order?.log === logId) orders.push(order);
    return checkBytes(record, envelope, logId, leaf);
  }

  function pushOrder(order: PruneOrder): void {
    if (order.log !== logId) return;
    orders.push(order);
    expectNamed(order.seqs);
  }

  function expectNamed(seqs: readonly number[]): void {
    for (const one of seqs) named.add(one);
  }

  function finish(): VerifyReport {
    violation ??= findUncovered(pruned, leaves, orders);
    const ok = violation === undefined;
    return { ok, logId, records, pruned: pruned.size, lastSeq: seq, lastLeaf: leaf, violation };
  }

  return { push, pushOrder, expectNamed, finish };
}

function checkPlace(record: VerifiableRecord, previousSeq: number): Violation | undefined {
  if (record.seq === previousSeq + 1) return undefined;
  if (record.seq <= previousSeq) {
    return bad(record.seq, "order", `it follows record ${previousSeq}`);
  }
  return bad(previousSeq + 1, "gap", `it is missing; the next one is ${record.seq}`);
}

function checkBytes(
  record: VerifiableRecord,
  envelope: EnvelopeView,
  logId: string,
  previousLeaf: string,
): Violation | undefined {
  const { seq } = record;
  const text = record.envelope ?? "";
  if (leafOf(text) !== record.leaf) return bad(seq, "leaf", "its bytes do not hash to its leaf");
  if (envelope.log !== logId || envelope.seq !== seq) {
    return bad(seq, "order", `its envelope says ${envelope.log} ${envelope.seq}`);
  }
  if (envelope.prev !== previousLeaf) {
    return bad(seq, "link", "it does not name the leaf of the record before it");
  }
  if (record.details === null) return bad(seq, "details-missing", "its details are gone");
  const part = parsePart(record.details);
  const isWhole = part !== undefined && (part === "empty") === hasNoFields(envelope);
  if (!isWhole) return bad(seq, "commitment", "its details are not those it committed to");
  return undefined;
}

function hasNoFields({ commitment }: EnvelopeView): boolean {
  return commitment === emptyCommitment;
}

/** The first pruned record that no sound order covers. */
function findUncovered(
  pruned: ReadonlyMap<number, string>,
  leaves: ReadonlyMap<number, string>,
  orders: readonly PruneOrder[],
): Violation | undefined {
  const covered = new Set<number>();
  for (const order of orders) {
    const ordered = order.seqs.map((seq) => leaves.get(seq) ?? "");
    if (digestLeaves(ordered) !== order.digest) continue;
    for (const seq of order.seqs) covered.add(seq);
  }
  for (const seq of pruned.keys()) {
    if (covered.has(seq)) continue;
    return bad(seq, "pruned-without-order", "it was deleted and no retention record covers it");
  }
  return undefined;
}

function bad(seq: number, kind: ViolationKind, why: string): Violation {
  return { seq, kind, message: `record ${seq}: ${why}` };
}

const pageRows = 500;

/** The logs the database holds records of: one a node, and one more for each time a spool was lost. */
export async function listLogs(store: AuditStore): Promise<readonly string[]> {
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
export async function verifyStore(store: AuditStore, logId: string): Promise<VerifyReport> {
  const verifier = createVerifier(logId);
  for await (const row of scanRows(store, { event: "retention.executed" }, undefined)) {
    if (row.envelope === null) continue;
    const order = parseOrderText(row.envelope, row.leaf);
    if (order?.log !== logId) continue;
    // An order of this log counts only in its place in the chain.
    if (row.logId === logId) verifier.expectNamed(order.seqs);
    else verifier.pushOrder(order);
  }
  for await (const row of scanRows(store, {}, { logId, seq: 0 })) {
    if (row.logId !== logId) break;
    const violation = verifier.push(row) ?? checkColumns(row);
    if (violation !== undefined) return { ...verifier.finish(), ok: false, violation };
  }
  return verifier.finish();
}

function parseOrderText(text: string, leaf: string): PruneOrder | undefined {
  if (leafOf(text) !== leaf) return undefined;
  const envelope = parseEnvelope(text);
  return envelope && parseOrder(envelope);
}

async function* scanRows(
  store: AuditStore,
  filter: Parameters<AuditStore["scan"]>[0]["filter"],
  start: { readonly logId: string; readonly seq: number } | undefined,
): AsyncGenerator<AuditRow> {
  let after = start;
  do {
    const page = await store.scan({
      filter,
      ...(after === undefined ? {} : { after }),
      limit: pageRows,
      order: "ascending",
      includePruned: true,
    });
    yield* page.rows;
    after = page.next;
  } while (after !== undefined);
}

/** The columns people search by must say what the record says (ST-06). */
function checkColumns(row: AuditRow): Violation | undefined {
  if (row.envelope === null || row.details === null) return undefined;
  const { envelope, details, leaf } = row;
  const derived = toAuditRow({ envelope, details, leaf });
  if (derived === undefined) return undefined;
  const names = Object.keys(derived) as (keyof AuditRow)[];
  const different = names.find((name) => derived[name] !== row[name]);
  if (different === undefined) return undefined;
  return bad(row.seq, "columns", `its column ${different} does not say what the record says`);
}

/** Verifies the segments of a spool directory: what is there, from the oldest one's header on. */
export function verifySpool(dir: string): VerifyReport {
  const segments = listSegments(dir);
  let verifier: Verifier | undefined;
  for (const [index, segment] of segments.entries()) {
    const scan = scanSegment(readFileSync(segment.path));
    const nextFirstSeq = segments[index + 1]?.firstSeq ?? Number.POSITIVE_INFINITY;
    const { header } = scan;
    if (header === undefined) return damaged(verifier, segment.firstSeq, "has no sound header");
    verifier ??= createVerifier(header.log, { seq: header.firstSeq - 1, leaf: header.prev });
    for (const record of scan.records) {
      const seq = parseEnvelope(record.envelope)?.seq ?? 0;
      // A poisoned segment's last records stand again, byte for byte, in its successor.
      if (seq >= nextFirstSeq) break;
      const violation = verifier.push({ ...record, seq });
      if (violation !== undefined) return verifier.finish();
    }
    if (scan.damage.length > 0) return damaged(verifier, segment.firstSeq, "is damaged");
  }
  return (verifier ?? createVerifier("")).finish();
}

function damaged(verifier: Verifier | undefined, firstSeq: number, what: string): VerifyReport {
  const report = (verifier ?? createVerifier("")).finish();
  const seq = Math.max(firstSeq, report.lastSeq + 1);
  const violation = bad(seq, "damage", `the segment that starts with record ${firstSeq} ${what}`);
  return { ...report, ok: false, violation };
}
