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
import type { AuditFilter, AuditPage, AuditRow, AuditStore } from "../../storage/store.ts";
import { exportRecords } from "../audit-export.ts";
import type { Caller } from "../caller.ts";
import { fromAuditRow, matchesFilter, toAuditFilter } from "../convert/records.ts";
import { fromVerifyReport } from "../convert/verification.ts";
import { decodePageToken, encodePageToken, readPageSize } from "../page-token.ts";
import { needTenant } from "../tenants.ts";
import { type AuditEvidenceDeps, createAuditEvidence } from "./audit-evidence.ts";

export interface AuditServiceDeps extends AuditEvidenceDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly opener: Opener;
  readonly tokens: FilterTokens;
  readonly log: Pick<AuditLog, "tail" | "status">;
  readonly proofs: ProofSource;
  readonly verifyLog: (signal: AbortSignal) => Promise<readonly VerifyReport[]>;
  /** Records waiting for a reader of TailRecords; beyond it they are dropped and counted. */
  readonly tailBacklogMax?: number;
}

/** Records opened at once for a reader of TailRecords. */
const tailBatchMax = 100;

export function createAuditService(deps: AuditServiceDeps): AuditService<Caller> {
  return {
    ...createAuditEvidence(deps),
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

function nextToken(question: unknown, { next }: AuditPage): string {
  return next === undefined ? "" : encodePageToken(question, [next.logId, next.seq]);
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
