/**
 * Says which records of a log miss their sealed part, or all of it, without an order in the log: a few lines that share
 * nothing with the gateway's own verification. Asserts nothing.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import type { Store } from "../../src/storage/store.ts";

export interface HeldRecord {
  readonly seq: number;
  readonly leaf: string;
  readonly envelope: string | null;
  readonly details: string | null;
}

export interface Absences {
  /** Broken links, leaves that are not their envelope's. */
  readonly broken: readonly number[];
  /** Missing, and covered by an order. */
  readonly lawful: readonly number[];
  readonly unlawful: readonly number[];
}

export function findAbsences(records: readonly HeldRecord[]): Absences {
  const leaves = new Map(records.map((one) => [one.seq, one.leaf]));
  const broken: number[] = [];
  const ordered = { erased: new Set<number>(), deleted: new Set<number>() };
  for (const { seq, leaf, envelope } of records) {
    if (envelope === null) continue;
    const hash = createHash("sha256").update("\0").update(envelope).digest("hex");
    const { prev, event, facts } = JSON.parse(envelope);
    const before = leaves.get(seq - 1);
    if (hash !== leaf || (before !== undefined && before !== prev)) broken.push(seq);
    const verb = event === "erasure.executed" ? "erased" : "deleted";
    if (event !== "erasure.executed" && event !== "retention.executed") continue;
    const seqs = expand(facts[`${verb}Seqs`]);
    const named = seqs
      .map((one) => leaves.get(one) ?? "")
      .toSorted()
      .join("\n");
    const digest = createHash("sha256").update(named).digest("hex");
    if (digest === facts.digest) for (const one of seqs) ordered[verb].add(one);
  }
  const missing = records.filter((one) => !one.details);
  const isLawful = ({ seq, envelope }: HeldRecord) =>
    ordered.deleted.has(seq) || (envelope !== null && ordered.erased.has(seq));
  return {
    broken,
    lawful: missing.filter(isLawful).map((one) => one.seq),
    unlawful: missing.filter((one) => !isLawful(one)).map((one) => one.seq),
  };
}

function expand(text: string): readonly number[] {
  return text.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

/** The records of a spool, as its files hold them. */
export function readSpool(dataDir: string): readonly HeldRecord[] {
  const segments = listSegments(join(dataDir, "spool"));
  return segments.flatMap((segment) =>
    scanSegment(readFileSync(segment.path)).records.map((record) => ({
      ...record,
      seq: JSON.parse(record.envelope).seq as number,
    })),
  );
}

/** The records of a log in the database. */
export async function readRows(store: Store, logId: string): Promise<readonly HeldRecord[]> {
  const rows: HeldRecord[] = [];
  let after: { readonly logId: string; readonly seq: number } | undefined = { logId, seq: 0 };
  while (after !== undefined) {
    const page = await store.audit.scan({
      ...{ filter: {}, after, limit: 5_000, order: "ascending", includePruned: true },
    });
    rows.push(...page.rows.filter((row) => row.logId === logId));
    after = page.next;
  }
  return rows;
}
