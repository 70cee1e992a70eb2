/**
 * Reads one page of the log from its three places and compares it. A database that is away is not compared; what
 * retention, erasure or the shipper are at while the page is read is settled by looking a second time (`monitor.ts`).
 */
import { existsSync } from "node:fs";
import type { AuditPage, AuditRow, AuditScan, AuditStore } from "../../storage/store.ts";
import { listSegments } from "../spool/files.ts";
import type { SpoolReader } from "../spool/reader.ts";
import type { Finding } from "./finding.ts";
import type { LawfulAbsence } from "./orders.ts";
import { comparePage, type Page } from "./page.ts";
import { readSegmentHeader } from "./segment-header.ts";

/** This log's tree at its last checkpoint. */
export interface MonitoredTree {
  readonly size: number;
  readonly root: Uint8Array;
  /** Hex leaves of the records from `from` to `to`; throws where the tiles are not sound. */
  leaves(from: number, to: number): readonly string[];
}

export interface Progress {
  readonly syncedSeq: number;
  readonly shippedSeq: number;
}

export interface LookDeps {
  readonly logId: string;
  readonly spoolDir: string;
  readonly reader: SpoolReader;
  readonly store: Pick<AuditStore, "scan">;
  readonly absence: LawfulAbsence;
}

export interface Look {
  readonly page: Page;
  readonly findings: readonly Finding[];
}

export async function lookAt(
  deps: LookDeps,
  from: number,
  to: number,
  tree: MonitoredTree | undefined,
  { syncedSeq, shippedSeq }: Progress,
): Promise<Look> {
  const rows = await readRows(deps, from, Math.min(to, shippedSeq));
  const records = await deps.reader.read(from - 1, Math.min(to, syncedSeq), to - from + 1);
  const page: Page = {
    from,
    to: Math.min(to, syncedSeq),
    leaves: readLeaves(tree, from, to),
    rows: new Map(rows?.map((row) => [row.seq, row])),
    doubled: findDoubled(rows ?? []),
    records: new Map(records.map((record) => [record.seq, record])),
    // Asked after reading: a segment that was removed meanwhile is not missing.
    headless: listHeadless(deps.spoolDir, from, to),
    spoolFrom: listSegments(deps.spoolDir)[0]?.firstSeq ?? Number.POSITIVE_INFINITY,
    databaseTo: rows === undefined ? 0 : Math.min(to, shippedSeq),
    mayBeGone: deps.absence.mayBeGone,
  };
  const findings = comparePage(page);
  if (!findings.some(({ kind, place }) => kind === "deleted" && place === "database")) {
    return { page, findings };
  }
  await deps.absence.refresh(leavesOf(tree));
  return { page, findings: comparePage(page) };
}

/** Leaves of a range that the tree has whole. */
export function leavesOf(tree: MonitoredTree | undefined) {
  return (from: number, to: number): readonly string[] =>
    tree === undefined || to > tree.size ? [] : tree.leaves(from, to);
}

function readLeaves(tree: MonitoredTree | undefined, from: number, to: number) {
  const until = Math.min(to, tree?.size ?? 0);
  const leaves = from > until ? [] : (tree?.leaves(from, until) ?? []);
  return new Map(leaves.map((leaf, at) => [from + at, leaf]));
}

/** First records of the segments that begin in this page and have no sound header. */
function listHeadless(spoolDir: string, from: number, to: number): ReadonlySet<number> {
  const begun = listSegments(spoolDir).filter((one) => one.firstSeq >= from && one.firstSeq <= to);
  const headless = begun.filter(({ path, firstSeq }) => {
    return readSegmentHeader(path)?.firstSeq !== firstSeq && existsSync(path);
  });
  return new Set(headless.map(({ firstSeq }) => firstSeq));
}

/** Undefined where the database is away. */
async function readRows(
  { store, logId }: LookDeps,
  from: number,
  to: number,
): Promise<readonly AuditRow[] | undefined> {
  const rows: AuditRow[] = [];
  let after: AuditScan["after"] = { logId, seq: from - 1 };
  // One page holds all, unless somebody gave out numbers twice: those take the room of others.
  while (after?.logId === logId && after.seq < to) {
    const page: AuditPage | undefined = await store
      .scan({ filter: {}, after, limit: to - after.seq, order: "ascending", includePruned: true })
      .catch(() => undefined);
    if (page === undefined) return undefined;
    rows.push(...page.rows);
    after = page.next;
  }
  return rows.filter((row) => row.logId === logId && row.seq <= to);
}

/** In PostgreSQL a number is unique in its month only. */
function findDoubled(rows: readonly AuditRow[]): ReadonlySet<number> {
  const seen = new Set<number>();
  const doubled = new Set<number>();
  for (const { seq } of rows) {
    if (seen.has(seq)) doubled.add(seq);
    seen.add(seq);
  }
  return doubled;
}
