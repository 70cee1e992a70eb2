/**
 * Asking for records: page by page, newest first over all nodes, or counted. Part of `audit-service.ts`.
 */
import type { OpenAuditLog } from "../../audit/log.ts";
import type { Opener } from "../../audit/opener.ts";
import type { FilterTokens } from "../../audit/tokens.ts";
import { GatewayError } from "../../errors/fault.ts";
import type {
  AuditService,
  QueryRecordsRequest,
  SummarizeRecordsRequest,
  SummaryLine,
} from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import type {
  AuditFilter,
  AuditPage,
  AuditPlace,
  AuditScan,
  AuditStore,
  AuditSummary,
  AuditSummaryQuery,
} from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import { toAuditFilter } from "../convert/records.ts";
import { decodePageToken, encodePageToken, readPageSize } from "../page-token.ts";
import { needIdentities, seesIdentities, viewRows } from "../record-view.ts";
import { needTenant } from "../tenants.ts";

export interface AuditSearchDeps {
  readonly store: Pick<AuditStore, "scan" | "summarize">;
  readonly opener: Opener;
  readonly tokens: FilterTokens;
  readonly clock: Pick<Clock, "monotonicMs" | "nowMs">;
  readonly log: Pick<OpenAuditLog, "caughtUp">;
}

/** How long a question waits for this node's latest records to be in the database. */
export const caughtUpMs = 1_000;
/** How long one answer looks for its first record, about. */
const emptyPagesMs = 50;
const dayMs = 24 * 60 * 60 * 1000;
/** Records that one summary counts. */
const summarizedMax = 200_000;
const linesDefault = 100;
const linesMax = 1_000;

export function createAuditSearch(
  deps: AuditSearchDeps,
): Pick<AuditService<Caller>, "queryRecords" | "summarizeRecords"> {
  return {
    async queryRecords(request, caller) {
      const filter = toOwnFilter(request.filter, caller);
      // A token is of one way of looking: what it could not be had by, it does not go on with.
      const sees = seesIdentities(caller);
      const question = ["records", filter, request.order, request.include_pruned, sees];
      const token = decodePageToken(question, request.page_token, ["string", "number", "number"]);
      if (token === undefined) await deps.log.caughtUp(caughtUpMs);
      const page = await search(deps, {
        filter: await deps.tokens.toStored(filter),
        limit: readPageSize(request.page_size),
        order: request.order === "RECORD_ORDER_OLDEST_FIRST" ? "ascending" : "descending",
        includePruned: request.include_pruned,
        // What was pruned has lost what it could be found by.
        by: request.include_pruned ? "place" : "time",
        ...(token === undefined ? {} : { after: toPlace(token) }),
      });
      const records = await viewRows(page.rows, caller, deps.opener);
      return { records: [...records], next_page_token: nextToken(question, page) };
    },
    async summarizeRecords(request, caller) {
      const asked = toOwnFilter(request.filter, caller);
      const fromMs = asked.fromMs ?? deps.clock.nowMs() - dayMs;
      const { by, filter } = needSummary(request.summary, { ...asked, fromMs });
      await deps.log.caughtUp(caughtUpMs);
      const { groups, isComplete } = await deps.store.summarize({
        filter: await deps.tokens.toStored(filter),
        by,
        rowsMax: summarizedMax,
        groupsMax: readLinesMax(request.lines_max),
      });
      return { lines: groups.map(toLine), from_ms: fromMs, complete: isComplete };
    },
  };
}

/** An operator of a tenant finds the tenant's records, whatever else the filter says; records of no tenant are not. */
export function toOwnFilter(filter: QueryRecordsRequest["filter"], caller: Caller): AuditFilter {
  const tenant = needTenant(caller, filter?.tenant ?? "");
  const asked = toAuditFilter(filter);
  needIdentities(asked, caller);
  return { ...asked, ...(tenant === undefined ? {} : { tenant }) };
}

/** Goes on where a page came back empty though there may be more, until that takes too long to be one answer. */
async function search({ store, clock }: AuditSearchDeps, query: AuditScan): Promise<AuditPage> {
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

function needSummary(
  summary: SummarizeRecordsRequest["summary"],
  filter: AuditFilter,
): Pick<AuditSummaryQuery, "by" | "filter"> {
  switch (summary) {
    case "RECORD_SUMMARY_RECENT_ACTIVITY":
      return { by: ["event", "status"], filter };
    case "RECORD_SUMMARY_POLICY_VIOLATIONS":
      return { by: ["server", "tool", "decision"], filter: { ...filter, status: "denied" } };
    case "RECORD_SUMMARY_TOOL_USAGE":
      return { by: ["server", "tool", "status"], filter: { ...filter, event: "call.outcome" } };
    case "RECORD_SUMMARY_UNSPECIFIED":
      throw new GatewayError(
        "invalid-params",
        "summary: must be RECORD_SUMMARY_RECENT_ACTIVITY, RECORD_SUMMARY_POLICY_VIOLATIONS or RECORD_SUMMARY_TOOL_USAGE",
      );
    default:
      return summary satisfies never;
  }
}

function readLinesMax(asked: number): number {
  if (asked === 0) return linesDefault;
  if (asked > 0 && asked <= linesMax) return asked;
  throw new GatewayError("invalid-params", `lines_max: must be from 0 to ${linesMax}`);
}

function toLine(group: AuditSummary["groups"][number]): SummaryLine {
  return {
    event: group.event ?? "",
    server: group.server ?? "",
    tool: group.tool ?? "",
    decision: group.decision ?? "",
    status: group.status ?? "",
    records: group.records,
    first_time_ms: group.firstTimeMs,
    last_time_ms: group.lastTimeMs,
  };
}
