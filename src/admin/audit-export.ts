/**
 * An export of records as it streams: JSON lines that strangers can verify, or CSV for spreadsheets, then a manifest.
 * Reads the store's copy page by page. What a reader may see of a record's values is what the record's message has;
 * what was hashed goes out as it is.
 */
import { createHash } from "node:crypto";
import type { ProofSource } from "../audit/export-proofs.ts";
import type { Opener } from "../audit/opener.ts";
import { GatewayError } from "../errors/fault.ts";
import type { AuditRecord, ExportRecordsRequest, ExportRecordsResponse } from "../gen/types.ts";
import type { AuditFilter, AuditStore } from "../storage/store.ts";
import type { Caller } from "./caller.ts";
import { csv, type ExportFormat } from "./export-format.ts";
import { seesIdentities, viewRows } from "./record-view.ts";
import { createVerifiableLines } from "./verifiable-lines.ts";

export interface AuditExportDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly opener: Opener;
  readonly proofs: ProofSource;
  /** What the proofs cannot explain is not taken out of the log before the return value is disposed of. */
  readonly beginExport: () => Disposable;
}

const exportPageSize = 500;
/** The `details_json` of an open record that has no values. */
const noValues = "{}";
const chunkBytesMin = 64 * 1024;

/** `filter` is what the caller may see at all of what was asked for. */
export async function* exportRecords(
  deps: AuditExportDeps,
  request: ExportRecordsRequest,
  filter: AuditFilter,
  caller: Caller,
): AsyncGenerator<ExportRecordsResponse> {
  using _exporting = deps.beginExport();
  const format = await createFormat(deps, request, filter, caller);
  const hash = createHash("sha256");
  const ranges: Ranges = new Map();
  let count = 0;
  let opened = 0;
  let text = "";
  const takeChunk = () => {
    const chunk = Buffer.from(text);
    hash.update(chunk);
    text = "";
    return { chunk };
  };
  for await (const line of format.head()) {
    text += line;
    if (text.length >= chunkBytesMin) yield takeChunk();
  }
  for await (const record of scanAll(deps, request, filter, caller)) {
    count += 1;
    if (record.details_json !== "" && record.details_json !== noValues) opened += 1;
    widen(ranges, record);
    text += format.line(record);
    if (text.length < chunkBytesMin) continue;
    // Before it goes: of an export that is broken off, too, the log says what of it may be out there.
    caller.note({ rows: count, opened, logs: renderRanges(ranges) });
    yield takeChunk();
  }
  if (text !== "") yield takeChunk();
  text = format.tail(count, hash.copy().digest("hex"));
  if (text !== "") yield takeChunk();
  const sha256 = hash.digest("hex");
  // Whoever is erased later may be in it in clear: these say which file it is, and which records it holds.
  caller.note({ rows: count, opened, logs: renderRanges(ranges), sha256 });
  const logs = [...ranges].map(([log_id, range]) => ({ log_id, ...range }));
  yield { manifest: { count, sha256, ranges: logs } };
}

async function createFormat(
  { store, proofs }: AuditExportDeps,
  request: ExportRecordsRequest,
  filter: AuditFilter,
  caller: Caller,
): Promise<ExportFormat> {
  switch (request.format) {
    case "EXPORT_FORMAT_JSON_LINES":
      return await createVerifiableLines({
        store,
        proofs,
        filter,
        request,
        isHidden: !seesIdentities(caller),
      });
    case "EXPORT_FORMAT_CSV":
      if (!request.proofs) return csv;
      throw new GatewayError(
        "invalid-params",
        "proofs: only EXPORT_FORMAT_JSON_LINES can carry them",
      );
    case "EXPORT_FORMAT_UNSPECIFIED":
      throw new GatewayError(
        "invalid-params",
        "format: must be EXPORT_FORMAT_JSON_LINES or EXPORT_FORMAT_CSV",
      );
    default:
      return request.format satisfies never;
  }
}

async function* scanAll(
  { store, opener }: AuditExportDeps,
  request: ExportRecordsRequest,
  filter: AuditFilter,
  caller: Caller,
): AsyncGenerator<AuditRecord> {
  const query = {
    filter,
    limit: exportPageSize,
    order: "ascending",
    includePruned: request.include_pruned,
  } as const;
  let page = await store.scan(query);
  while (true) {
    yield* await viewRows(page.rows, caller, opener);
    if (page.next === undefined || caller.signal.aborted) return;
    page = await store.scan({ ...query, after: page.next });
  }
}

type Ranges = Map<string, { first_seq: number; last_seq: number }>;

function renderRanges(ranges: Ranges): string {
  const texts = [...ranges].map(([log, range]) => `${log}:${range.first_seq}-${range.last_seq}`);
  return texts.join(" ");
}

function widen(ranges: Ranges, { log_id, seq }: AuditRecord): void {
  const range = ranges.get(log_id);
  if (range === undefined) ranges.set(log_id, { first_seq: seq, last_seq: seq });
  else range.last_seq = seq;
}
