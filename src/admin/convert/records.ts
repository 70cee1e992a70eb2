/**
 * Audit rows and filters between protobuf and the store, and whether a live row matches a filter.
 */
import type { OpenedRow, SealState } from "../../audit/opener.ts";
import type { AuditRecord, RecordFilter, SealState as SealStateMessage } from "../../gen/types.ts";
import type { AuditFilter, AuditRow } from "../../storage/store.ts";
import { keyFor, orUndefined } from "./common.ts";
import { recordFacts } from "./record-facts.ts";

/** Only what is set: a filter's missing members match everything. */
export function toAuditFilter(message: RecordFilter | null | undefined): AuditFilter {
  if (!message) return {};
  const given = {
    principal: orUndefined(message.principal),
    client: orUndefined(message.client),
    tool: orUndefined(message.tool),
    server: orUndefined(message.server),
    scope: orUndefined(message.scope),
    event: orUndefined(message.event),
    status: orUndefined(message.status),
    decision: orUndefined(message.decision),
    session: orUndefined(message.session),
    correlationId: orUndefined(message.correlation_id),
    dataClass: orUndefined(message.data_class),
    tenant: orUndefined(message.tenant),
    fromMs: message.from_ms,
    untilMs: message.until_ms,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const sealStates = {
  SEAL_STATE_OPEN: "open",
  SEAL_STATE_SEALED: "sealed",
  SEAL_STATE_SHREDDED: "shredded",
  SEAL_STATE_PRUNED: "pruned",
  SEAL_STATE_BROKEN: "broken",
} as const satisfies Readonly<
  Record<Exclude<SealStateMessage, "SEAL_STATE_UNSPECIFIED">, SealState>
>;

export function fromAuditRow({ row, state, values }: OpenedRow): AuditRecord {
  return {
    log_id: row.logId,
    seq: row.seq,
    leaf: row.leaf,
    envelope_json: row.envelope ?? "",
    details_json: state === "open" ? JSON.stringify(values) : "",
    sealed_json: row.details ?? "",
    seal_state: keyFor(sealStates, state),
    time_ms: row.timeMs,
    event: row.event,
    durability: row.durability,
    principal: row.principal ?? "",
    client: row.client ?? "",
    tool: row.tool ?? "",
    server: row.server ?? "",
    scope: row.scope ?? "",
    method: row.method ?? "",
    status: row.status ?? "",
    decision: row.decision ?? "",
    session: row.session ?? "",
    correlation_id: row.correlationId ?? "",
    data_class: row.dataClass ?? "",
    tenant: row.tenant ?? "",
    identities_hidden: false,
    arguments_digest: typeof values.argumentsDigest === "string" ? values.argumentsDigest : "",
    ...recordFacts(row.envelope),
  };
}

/** What the store's query would say of this row. */
export function matchesFilter(row: AuditRow, { fromMs, untilMs, ...texts }: AuditFilter): boolean {
  if (fromMs !== undefined && row.timeMs < fromMs) return false;
  if (untilMs !== undefined && row.timeMs >= untilMs) return false;
  const columns: Readonly<Record<keyof typeof texts, string | null>> = row;
  for (const key of Object.keys(texts) as (keyof typeof texts)[]) {
    const wanted = texts[key];
    if (wanted === undefined) continue;
    const values: readonly string[] = typeof wanted === "string" ? [wanted] : wanted;
    if (!values.includes(columns[key] ?? "")) return false;
  }
  return true;
}
