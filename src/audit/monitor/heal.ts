/**
 * Puts back what was changed, from the copy that is still sound: the database's rows from the spool, a damaged segment
 * from the database. Only what the tree or the chain says was there; anything else stays as found, for an operator.
 */
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import { toAuditRow } from "../row.ts";
import type { SpoolRecord } from "../spool/reader.ts";
import type { Finding } from "./finding.ts";
import { findClosedSegment, healSegment } from "./heal-segment.ts";
import type { MonitoredTree } from "./look.ts";
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
}

/** Heals what it can of a page's findings and says what that was. */
export async function heal(
  deps: HealDeps,
  findings: readonly Finding[],
  page: Page,
  tree: MonitoredTree | undefined,
): Promise<readonly Healed[]> {
  const healed: Healed[] = [];
  const seqsIn = (place: Finding["place"]) =>
    findings.filter((one) => one.place === place).map((one) => one.seq);
  const rows = seqsIn("database").flatMap((seq) => toRow(page, seq));
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
    });
    if (seqs !== undefined) healed.push({ place: "spool", ...spanOf(seqs) });
  }
  return healed;
}

/** The row of a record whose leaf the tree knows. */
function toRow({ records, leaves }: Page, seq: number): readonly AuditRow[] {
  const record: SpoolRecord | undefined = records.get(seq);
  if (record === undefined || record.leaf !== leaves.get(seq)) return [];
  const row = toAuditRow(record);
  if (row === undefined) return [];
  return [record.details === "" ? { ...row, details: null } : row];
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
