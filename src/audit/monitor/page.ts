/**
 * Compares one page of the log in its three places, record by record: the tree's leaves, the database's rows and the
 * spool's frames (ST-06, ST-14). Pure; `monitor.ts` reads the page and decides what becomes of the findings.
 */
import type { AuditRow } from "../../storage/store.ts";
import { leafOf } from "../envelope.ts";
import { toAuditRow } from "../row.ts";
import type { SpoolRecord } from "../spool/reader.ts";
import type { Finding } from "./finding.ts";

export interface Page {
  /** First and last record looked at. */
  readonly from: number;
  readonly to: number;
  /** Leaves in hex by record; none beyond the last checkpoint. */
  readonly leaves: ReadonlyMap<number, string>;
  readonly rows: ReadonlyMap<number, AuditRow>;
  /** Records of which there is more than one row. */
  readonly doubled: ReadonlySet<number>;
  readonly records: ReadonlyMap<number, SpoolRecord>;
  /** Records whose segment begins with them and has lost its header. */
  readonly headless: ReadonlySet<number>;
  /** Records from here on should be in the spool, and up to here in the database. */
  readonly spoolFrom: number;
  readonly databaseTo: number;
  /** Whether an order lets the row be pruned, or its sealed part be gone. */
  readonly mayBeGone: (seq: number, what: "row" | "details") => boolean;
}

export function comparePage(page: Page): readonly Finding[] {
  const findings: Finding[] = [];
  for (let seq = page.from; seq <= page.to; seq += 1) {
    const leaf = page.leaves.get(seq) ?? page.records.get(seq)?.leaf;
    const inSpool = seq < page.spoolFrom ? undefined : checkRecord(page, seq, leaf);
    const inDatabase = seq > page.databaseTo ? undefined : checkRow(page, seq, leaf);
    const isTreeOdd = isTreeAlone(page, seq);
    // Where the two copies agree against the tiles, it is the tiles that were changed.
    if (isTreeOdd) findings.push({ place: "tree", kind: "edited", seq });
    if (inSpool !== undefined && !isTreeOdd) findings.push(inSpool);
    if (inDatabase !== undefined && !isTreeOdd) findings.push(inDatabase);
  }
  return findings;
}

function isTreeAlone({ leaves, rows, records }: Page, seq: number): boolean {
  const record = records.get(seq);
  const leaf = leaves.get(seq);
  if (record === undefined || leaf === undefined || record.leaf === leaf) return false;
  return rows.get(seq)?.leaf === record.leaf;
}

function checkRecord({ records, headless }: Page, seq: number, leaf: string | undefined) {
  const record = records.get(seq);
  if (record === undefined || headless.has(seq))
    return { place: "spool", kind: "damaged", seq } as const;
  if (record.leaf !== leaf) return { place: "spool", kind: "edited", seq } as const;
  return undefined;
}

function checkRow(page: Page, seq: number, leaf: string | undefined): Finding | undefined {
  const row = page.rows.get(seq);
  const finding = (kind: Finding["kind"]): Finding => ({ place: "database", kind, seq });
  if (page.doubled.has(seq)) return finding("inserted");
  if (row === undefined) return finding("deleted");
  if (leaf !== undefined && row.leaf !== leaf) return finding("edited");
  if (row.envelope === null) return page.mayBeGone(seq, "row") ? undefined : finding("deleted");
  const record = page.records.get(seq);
  const isHashed = record?.envelope === row.envelope && record.leaf === row.leaf;
  if (!isHashed && leafOf(row.envelope) !== row.leaf) return finding("edited");
  if (!sayTheSame(row)) return finding("edited");
  if (row.details === null) {
    return page.mayBeGone(seq, "details") ? undefined : finding("deleted");
  }
  const kept = record?.details;
  // A sealed part that was erased here is empty there, or the other way round: the orders speak of that.
  if (kept === undefined || kept === "" || kept === row.details) return undefined;
  return finding("edited");
}

/** The columns people search by must say what the record says. */
function sayTheSame(row: AuditRow): boolean {
  const { envelope, details, leaf } = row;
  const derived = toAuditRow({ envelope: envelope ?? "", details: details ?? "", leaf });
  if (derived === undefined) return false;
  const names = Object.keys(derived) as (keyof AuditRow)[];
  return names.every((name) => name === "details" || derived[name] === row[name]);
}
