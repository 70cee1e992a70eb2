/**
 * How records become the text of an export, and the format for spreadsheets: CSV. The one for verifiers is in
 * `verifiable-lines.ts`. Pure.
 */
import type { AuditRecord } from "../gen/types.ts";

export interface ExportFormat {
  /** What comes before the first record. */
  head(): Iterable<string> | AsyncIterable<string>;
  line(record: AuditRecord): string;
  /** What comes after the last one; `sha256` is that of all before. */
  tail(count: number, sha256: string): string;
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
  "endpoint_path",
  "duration_ms",
  "response_status",
  "error",
  "error_code",
  "arguments_digest",
  "identities_hidden",
  "seal_state",
  "sealed_json",
] as const satisfies readonly (keyof AuditRecord)[];

export const csv: ExportFormat = {
  head: () => [`${columns.join(",")}\r\n`],
  line: (record) => `${columns.map((column) => csvCell(record[column])).join(",")}\r\n`,
  tail: () => "",
};

/** Quoted where RFC 4180 asks for it; a text that a spreadsheet would run as a formula gets an apostrophe. */
export function csvCell(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
