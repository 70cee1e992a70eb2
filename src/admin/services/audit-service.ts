/**
 * AuditService: searching, exporting, following and verifying the record. Reads the store's copy page by page and
 * holds one page at most, however long the answer.
 */
import { createHash } from "node:crypto";
import type { AuditLog } from "../../audit/record.ts";
import { GatewayError } from "../../errors/fault.ts";
import type {
  AuditRecord,
  AuditService,
  ExportRecordsRequest,
  ExportRecordsResponse,
} from "../../gen/types.ts";
import type { AuditFilter, AuditRow } from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import { matchesFilter } from "../convert/records.ts";
import { csv, type ExportFormat, jsonLines } from "../export-format.ts";
import { viewRows } from "../record-view.ts";
import { type AuditEvidenceDeps, createAuditEvidence } from "./audit-evidence.ts";
import { type AuditSearchDeps, createAuditSearch, toOwnFilter } from "./audit-search.ts";
import { openField } from "./open-field.ts";

export interface LogVerification {
  readonly logId: string;
  readonly ok: boolean;
  readonly records: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The first problem, in words. */
  readonly problem: string | undefined;
}

export interface AuditServiceDeps
  extends Omit<AuditSearchDeps, "store">,
    Omit<AuditEvidenceDeps, "store"> {
  readonly store: AuditSearchDeps["store"] & AuditEvidenceDeps["store"];
  readonly log: Pick<AuditLog, "tail" | "status">;
  readonly verifyLog: (signal: AbortSignal) => Promise<readonly LogVerification[]>;
  /** Records waiting for a reader of TailRecords; beyond it they are dropped and counted. */
  readonly tailBacklogMax?: number;
}

const exportPageSize = 500;
const chunkBytesMin = 64 * 1024;
/** Records opened at once for a reader of TailRecords. */
const tailBatchMax = 100;

export function createAuditService(deps: AuditServiceDeps): AuditService<Caller> {
  return {
    ...createAuditSearch(deps),
    ...createAuditEvidence(deps),
    exportRecords: (request, caller) => exportRecords(deps, request, caller),
    tailRecords: (request, caller) =>
      tailRecords(deps, toOwnFilter(request.filter, caller), caller),
    openField: (request, caller) => openField(deps, request, caller),
    async verifyLog(_request, caller) {
      const logs = await deps.verifyLog(caller.signal);
      return {
        ok: logs.every((log) => log.ok),
        logs: logs.map(({ logId, firstSeq, lastSeq, problem, ...same }) => ({
          ...same,
          log_id: logId,
          first_seq: firstSeq,
          last_seq: lastSeq,
          problem: problem ?? "",
        })),
      };
    },
  };
}

async function* exportRecords(
  deps: AuditServiceDeps,
  request: ExportRecordsRequest,
  caller: Caller,
): AsyncGenerator<ExportRecordsResponse> {
  const format = needFormat(request.format);
  const hash = createHash("sha256");
  const ranges = new Map<string, { first_seq: number; last_seq: number }>();
  let count = 0;
  let text = format.head;
  const takeChunk = () => {
    const chunk = Buffer.from(text);
    hash.update(chunk);
    text = "";
    return { chunk };
  };
  for await (const record of scanAll(deps, request, caller)) {
    count += 1;
    widen(ranges, record);
    text += format.line(record);
    if (text.length >= chunkBytesMin) yield takeChunk();
  }
  if (text !== "") yield takeChunk();
  caller.note({ rows: count });
  const logs = [...ranges].map(([log_id, range]) => ({ log_id, ...range }));
  yield { manifest: { count, sha256: hash.digest("hex"), ranges: logs } };
}

async function* scanAll(
  { store, opener, tokens }: AuditServiceDeps,
  request: ExportRecordsRequest,
  caller: Caller,
): AsyncGenerator<AuditRecord> {
  const query = {
    filter: await tokens.toStored(toOwnFilter(request.filter, caller)),
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

function needFormat(format: ExportRecordsRequest["format"]): ExportFormat {
  switch (format) {
    case "EXPORT_FORMAT_JSON_LINES":
      return jsonLines;
    case "EXPORT_FORMAT_CSV":
      return csv;
    case "EXPORT_FORMAT_UNSPECIFIED":
      throw new GatewayError(
        "invalid-params",
        "format: must be EXPORT_FORMAT_JSON_LINES or EXPORT_FORMAT_CSV",
      );
    default:
      return format satisfies never;
  }
}

function widen(
  ranges: Map<string, { first_seq: number; last_seq: number }>,
  { log_id, seq }: AuditRecord,
): void {
  const range = ranges.get(log_id);
  if (range === undefined) ranges.set(log_id, { first_seq: seq, last_seq: seq });
  else range.last_seq = seq;
}

/** Never ends by itself: the reader cancels, or the server drains. */
async function* tailRecords(deps: AuditServiceDeps, asked: AuditFilter, caller: Caller) {
  const signal = AbortSignal.any([caller.signal, caller.draining]);
  const filter = await deps.tokens.toStored(asked);
  const backlogMax = deps.tailBacklogMax ?? 1000;
  const waiting: AuditRow[] = [];
  let dropped = 0;
  let wake: () => void = () => {};
  const stop = deps.log.tail((row) => {
    if (!matchesFilter(row, filter)) return;
    if (waiting.length < backlogMax) waiting.push(row);
    else dropped += 1;
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    while (!signal.aborted) {
      const rows = waiting.splice(0, tailBatchMax);
      if (rows.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      for (const record of await viewRows(rows, caller, deps.opener)) {
        const dropped_before = dropped;
        dropped = 0;
        yield { record, dropped_before };
      }
    }
  } finally {
    stop();
    signal.removeEventListener("abort", onAbort);
  }
}
