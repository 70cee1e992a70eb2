/**
 * Audit rows as lines of an export: JSON lines (faithful) or CSV (for spreadsheets). Pure.
 */
import type { AuditRecord } from "../gen/types.ts";

export interface ExportFormat {
  /** What comes before the first record. */
  readonly head: string;
  line(record: AuditRecord): string;
}

const columns = [
  "log_id",
  "seq",
  "leaf",
  "time_ms",
  "event",
  "durability",
  "principal",
  "client",
  "tool",
  "server",
  "scope",
  "method",
  "status",
  "decision",
  "session",
  "correlation_id",
  "data_class",
  "tenant",
  "envelope_json",
  "details_json",
  "seal_state",
  "sealed_json",
] as const satisfies readonly (keyof AuditRecord)[];

/** Envelope and details are texts in it, so their bytes, and with them the leaf, survive every JSON parser. */
export const jsonLines: ExportFormat = {
  head: "",
  line: (record) => `${JSON.stringify(record)}\n`,
};

export const csv: ExportFormat = {
  head: `${columns.join(",")}\r\n`,
  line: (record) => `${columns.map((column) => csvCell(record[column])).join(",")}\r\n`,
};

/** Quoted where RFC 4180 asks for it; a text that a spreadsheet would run as a formula gets an apostrophe. */
export function csvCell(value: string | number): string {
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
