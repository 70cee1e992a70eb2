/**
 * AuditService: searching, exporting, following and verifying the record. Reads the store's copy page by page and
 * holds one page at most, however long the answer.
 */
import { createHash } from "node:crypto";
import type { OpenedRow, Opener } from "../../audit/opener.ts";
import type { AuditLog } from "../../audit/record.ts";
import type { FilterTokens } from "../../audit/tokens.ts";
import { GatewayError } from "../../errors/fault.ts";
import type {
  AuditService,
  ExportRecordsRequest,
  ExportRecordsResponse,
  QueryRecordsRequest,
} from "../../gen/types.ts";
import type { AuditFilter, AuditPage, AuditRow, AuditStore } from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import { fromAuditRow, matchesFilter, toAuditFilter } from "../convert/records.ts";
import { csv, type ExportFormat, jsonLines } from "../export-format.ts";
import { decodePageToken, encodePageToken, readPageSize } from "../page-token.ts";
import { needTenant } from "../tenants.ts";

export interface LogVerification {
  readonly logId: string;
  readonly ok: boolean;
  readonly records: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** The first problem, in words. */
  readonly problem: string | undefined;
}

export interface AuditServiceDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly opener: Opener;
  readonly tokens: FilterTokens;
  readonly log: Pick<AuditLog, "tail">;
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
    async queryRecords(request, caller) {
      const filter = toOwnFilter(request.filter, caller);
      const question = ["records", filter, request.order, request.include_pruned];
      const after = decodePageToken(question, request.page_token, ["string", "number"]);
      const page = await deps.store.scan({
        filter: await deps.tokens.toStored(filter),
        limit: readPageSize(request.page_size),
        order: request.order === "RECORD_ORDER_OLDEST_FIRST" ? "ascending" : "descending",
        includePruned: request.include_pruned,
        ...(after === undefined
          ? {}
          : { after: { logId: String(after[0]), seq: Number(after[1]) } }),
      });
      const opened = await deps.opener.open(page.rows);
      return { records: opened.map(fromAuditRow), next_page_token: nextToken(question, page) };
    },
    exportRecords: (request, caller) => exportRecords(deps, request, caller),
    tailRecords: (request, caller) =>
      tailRecords(
        deps,
        toOwnFilter(request.filter, caller),
        AbortSignal.any([caller.signal, caller.draining]),
      ),
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

/** An operator of a tenant finds the tenant's records, whatever else the filter says; records of no tenant are not. */
function toOwnFilter(filter: QueryRecordsRequest["filter"], caller: Caller): AuditFilter {
  const tenant = needTenant(caller, filter?.tenant ?? "");
  return { ...toAuditFilter(filter), ...(tenant === undefined ? {} : { tenant }) };
}

function nextToken(question: unknown, { next }: AuditPage): string {
  return next === undefined ? "" : encodePageToken(question, [next.logId, next.seq]);
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
  for await (const opened of scanAll(deps, request, caller)) {
    count += 1;
    widen(ranges, opened.row);
    text += format.line(fromAuditRow(opened));
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
): AsyncGenerator<OpenedRow> {
  const query = {
    filter: await tokens.toStored(toOwnFilter(request.filter, caller)),
    limit: exportPageSize,
    order: "ascending",
    includePruned: request.include_pruned,
  } as const;
  let page = await store.scan(query);
  while (true) {
    yield* await opener.open(page.rows);
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

function widen(ranges: Map<string, { first_seq: number; last_seq: number }>, row: AuditRow): void {
  const range = ranges.get(row.logId);
  if (range === undefined) ranges.set(row.logId, { first_seq: row.seq, last_seq: row.seq });
  else range.last_seq = row.seq;
}

/** Never ends by itself: the reader cancels, or the server drains. */
async function* tailRecords(deps: AuditServiceDeps, asked: AuditFilter, signal: AbortSignal) {
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
      for (const opened of await deps.opener.open(rows)) {
        const dropped_before = dropped;
        dropped = 0;
        yield { record: fromAuditRow(opened), dropped_before };
      }
    }
  } finally {
    stop();
    signal.removeEventListener("abort", onAbort);
  }
}
