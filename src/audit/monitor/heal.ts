/**
 * Puts back what was changed, from the copy that is still sound: the database's rows from the spool, a damaged segment
 * from the database. Only what the tree or the chain says was there; anything else stays as found, for an operator.
 *
 * Nothing that was erased comes back (K-12). Shredding takes the same lock, and begins after orders and destroyed keys
 * stand in the database: so either healing knows of them, or it is over before the segments are shredded and the
 * database is asked for the last time (`retention/sweep.ts`).
 */
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import { toAuditRow } from "../row.ts";
import { lockRewriting } from "../spool/files.ts";
import type { SpoolRecord } from "../spool/reader.ts";
import type { Finding } from "./finding.ts";
import { findClosedSegment, healSegment, toPart } from "./heal-segment.ts";
import { leavesOf, type MonitoredTree } from "./look.ts";
import type { LawfulAbsence } from "./orders.ts";
import type { Page } from "./page.ts";

export interface Healed {
  readonly place: "database" | "spool";
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export interface HealDeps {
  readonly logId: string;
  readonly spoolDir: string;
  readonly store: Pick<AuditStore, "scan" | "replace">;
  readonly absence: LawfulAbsence;
}

/** Heals what it can of a page's findings and says what that was. Throws while segments are being shredded. */
export async function heal(
  deps: HealDeps,
  findings: readonly Finding[],
  page: Page,
  tree: MonitoredTree | undefined,
): Promise<readonly Healed[]> {
  const unlock = lockRewriting(deps.spoolDir);
  try {
    await deps.absence.refresh(leavesOf(tree));
    return await healAll(deps, findings, page, tree);
  } finally {
    unlock();
  }
}

async function healAll(
  deps: HealDeps,
  findings: readonly Finding[],
  page: Page,
  tree: MonitoredTree | undefined,
): Promise<readonly Healed[]> {
  const healed: Healed[] = [];
  const seqsIn = (place: Finding["place"]) =>
    findings.filter((one) => one.place === place).map((one) => one.seq);
  const rows = seqsIn("database").flatMap((seq) => toRow(page, seq, deps.absence));
  if (rows.length > 0) {
    await deps.store.replace(rows);
    healed.push({ place: "database", ...spanOf(rows.map((row) => row.seq)) });
  }
  const segments = new Map(
    seqsIn("spool").flatMap((seq) => {
      const segment = findClosedSegment(deps.spoolDir, seq);
      return segment === undefined ? [] : [[segment.firstSeq, segment] as const];
    }),
  );
  for (const segment of segments.values()) {
    const leaves = tree?.leaves(segment.firstSeq, Math.min(segment.lastSeq, tree.size)) ?? [];
    const seqs = await healSegment(segment, {
      logId: deps.logId,
      leafAt: (seq) => leaves[seq - segment.firstSeq],
      fetch: (from, to) => fetchRows(deps, from, to),
      absence: deps.absence,
    });
    if (seqs !== undefined) healed.push({ place: "spool", ...spanOf(seqs) });
  }
  return healed;
}

/** The row of a record whose leaf the tree knows; none where it would bring back, or change, nothing that may be there. */
function toRow(page: Page, seq: number, absence: LawfulAbsence): readonly AuditRow[] {
  const record: SpoolRecord | undefined = page.records.get(seq);
  if (record === undefined || record.leaf !== page.leaves.get(seq)) return [];
  if (absence.mayBeGone(seq, "row")) return [];
  const details = toPart(seq, record.details, absence);
  const row = details === undefined ? undefined : toAuditRow({ ...record, details });
  if (row === undefined) return [];
  const right = details === "" ? { ...row, details: null } : row;
  return isSame(right, page.rows.get(seq)) && !page.doubled.has(seq) ? [] : [right];
}

function isSame(right: AuditRow, found: AuditRow | undefined): boolean {
  const names = Object.keys(right) as (keyof AuditRow)[];
  return names.every((name) => right[name] === found?.[name]);
}

async function fetchRows(
  { store, logId }: HealDeps,
  from: number,
  to: number,
): Promise<readonly AuditRow[]> {
  const { rows } = await store.scan({
    filter: {},
    after: { logId, seq: from - 1 },
    limit: to - from + 1,
    order: "ascending",
  });
  return rows.filter((row) => row.logId === logId && row.seq <= to);
}

function spanOf(seqs: readonly number[]) {
  return { from: Math.min(...seqs), to: Math.max(...seqs), count: seqs.length };
}
