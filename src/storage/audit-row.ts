/**
 * How an audit row lies in its table, both ways, and which columns pruning empties. Pure; used by `sql-audit.ts`.
 */
import type { AuditRecordsTable } from "./schema.ts";
import { toSearchValue } from "./search-value.ts";
import type { AuditRow } from "./store.ts";

/** Log id, seq and leaf stay for the chain; time, event and durability say when and what kind, but not who. */
export const prunedColumns = {
  envelope: null,
  details: null,
  principal: null,
  client: null,
  tool: null,
  server: null,
  scope: null,
  method: null,
  status: null,
  decision: null,
  session: null,
  correlation_id: null,
  data_class: null,
  tenant: null,
} as const satisfies Partial<AuditRecordsTable>;

/** Stands for every row where only the shape of a statement matters. */
export const anyRow: AuditRow = Object.freeze({
  logId: "",
  seq: 0,
  leaf: "",
  envelope: "",
  details: "",
  timeMs: 0,
  event: "",
  durability: "A",
  principal: "",
  client: "",
  tool: "",
  server: "",
  scope: "",
  method: "",
  status: "",
  decision: "",
  session: "",
  correlationId: "",
  dataClass: "",
  tenant: "",
});

/** The members stand in the order of the insert's columns. */
export function toAuditTable(row: AuditRow, log: number): AuditRecordsTable {
  return {
    log,
    seq: row.seq,
    leaf: row.leaf,
    envelope: row.envelope,
    details: row.details,
    time_ms: row.timeMs,
    event: toSearchValue(row.event),
    durability: row.durability,
    principal: toSearchColumn(row.principal),
    client: toSearchColumn(row.client),
    tool: toSearchColumn(row.tool),
    server: toSearchColumn(row.server),
    scope: toSearchColumn(row.scope),
    method: toSearchColumn(row.method),
    status: toSearchColumn(row.status),
    decision: toSearchColumn(row.decision),
    session: toSearchColumn(row.session),
    correlation_id: toSearchColumn(row.correlationId),
    data_class: toSearchColumn(row.dataClass),
    tenant: toSearchColumn(row.tenant),
  };
}

export function fromAuditTable(row: AuditRecordsTable, logId: string): AuditRow {
  return {
    logId,
    seq: row.seq,
    leaf: row.leaf,
    envelope: row.envelope,
    details: row.details,
    timeMs: row.time_ms,
    event: row.event,
    durability: row.durability,
    principal: row.principal,
    client: row.client,
    tool: row.tool,
    server: row.server,
    scope: row.scope,
    method: row.method,
    status: row.status,
    decision: row.decision,
    session: row.session,
    correlationId: row.correlation_id,
    dataClass: row.data_class,
    tenant: row.tenant,
  };
}

function toSearchColumn(value: string | null): string | null {
  return value === null ? null : toSearchValue(value);
}
