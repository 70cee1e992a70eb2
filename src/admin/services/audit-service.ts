/**
 * AuditService: searching, exporting, following and verifying the record. Reads the store's copy page by page and
 * holds one page at most, however long the answer.
 */
import type { ProofSource } from "../../audit/export-proofs.ts";
import type { Opener } from "../../audit/opener.ts";
import type { AuditLog } from "../../audit/record.ts";
import type { FilterTokens } from "../../audit/tokens.ts";
import type { VerifyReport } from "../../audit/verify/findings.ts";
import type { AuditService, QueryRecordsRequest } from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import type {
  AuditFilter,
  AuditPage,
  AuditPlace,
  AuditRow,
  AuditScan,
  AuditStore,
} from "../../storage/store.ts";
import { exportRecords } from "../audit-export.ts";
import type { Caller } from "../caller.ts";
import { fromAuditRow, matchesFilter, toAuditFilter } from "../convert/records.ts";
import { fromVerifyReport } from "../convert/verification.ts";
import { decodePageToken, encodePageToken, readPageSize } from "../page-token.ts";
import { needTenant } from "../tenants.ts";
import { type AuditEvidenceDeps, createAuditEvidence } from "./audit-evidence.ts";
import { openField } from "./open-field.ts";

export interface AuditServiceDeps extends AuditEvidenceDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly opener: Opener;
  readonly tokens: FilterTokens;
  readonly log: Pick<AuditLog, "tail" | "status">;
  readonly proofs: ProofSource;
  readonly verifyLog: (signal: AbortSignal) => Promise<readonly VerifyReport[]>;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Records waiting for a reader of TailRecords; beyond it they are dropped and counted. */
  readonly tailBacklogMax?: number;
}

/** How long one answer looks for its first record, about. */
const emptyPagesMs = 50;
/** Records opened at once for a reader of TailRecords. */
const tailBatchMax = 100;

export function createAuditService(deps: AuditServiceDeps): AuditService<Caller> {
  return {
    ...createAuditEvidence(deps),
    async queryRecords(request, caller) {
      const filter = toOwnFilter(request.filter, caller);
      const question = ["records", filter, request.order, request.include_pruned];
      const token = decodePageToken(question, request.page_token, ["string", "number", "number"]);
      const page = await search(deps, {
        filter: await deps.tokens.toStored(filter),
        limit: readPageSize(request.page_size),
        order: request.order === "RECORD_ORDER_OLDEST_FIRST" ? "ascending" : "descending",
        includePruned: request.include_pruned,
        // What was pruned has lost what it could be found by.
        by: request.include_pruned ? "place" : "time",
        ...(token === undefined ? {} : { after: toPlace(token) }),
      });
      const opened = await deps.opener.open(page.rows);
      return { records: opened.map(fromAuditRow), next_page_token: nextToken(question, page) };
    },
    async *exportRecords(request, caller) {
      const filter = await deps.tokens.toStored(toOwnFilter(request.filter, caller));
      yield* exportRecords(deps, request, filter, caller);
    },
    tailRecords: (request, caller) =>
      tailRecords(
        deps,
        toOwnFilter(request.filter, caller),
        AbortSignal.any([caller.signal, caller.draining]),
      ),
    openField: (request, caller) => openField(deps, request, caller),
    async verifyLog(_request, caller) {
      const logs = await deps.verifyLog(caller.signal);
      return { ok: logs.every((log) => log.ok), logs: logs.map(fromVerifyReport) };
    },
  };
}

/** An operator of a tenant finds the tenant's records, whatever else the filter says; records of no tenant are not. */
function toOwnFilter(filter: QueryRecordsRequest["filter"], caller: Caller): AuditFilter {
  const tenant = needTenant(caller, filter?.tenant ?? "");
  return { ...toAuditFilter(filter), ...(tenant === undefined ? {} : { tenant }) };
}

/** Goes on where a page came back empty though there may be more, until that takes too long to be one answer. */
async function search({ store, clock }: AuditServiceDeps, query: AuditScan): Promise<AuditPage> {
  const endsAtMs = clock.monotonicMs() + emptyPagesMs;
  let page = await store.scan(query);
  while (page.rows.length === 0 && page.next !== undefined && clock.monotonicMs() < endsAtMs) {
    page = await store.scan({ ...query, after: page.next });
  }
  return page;
}

function nextToken(question: unknown, { next }: AuditPage): string {
  if (next === undefined) return "";
  return encodePageToken(question, [next.logId, next.seq, next.timeMs ?? 0]);
}

function toPlace([logId, seq, timeMs]: readonly (string | number)[]): AuditPlace {
  return { logId: String(logId), seq: Number(seq), timeMs: Number(timeMs) };
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
