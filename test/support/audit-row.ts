/** A row of the audit copy with nothing in it but its place: tests fill in what they are about. */
import type { AuditRow } from "../../src/storage/store.ts";

export function auditRow(seq: number, columns: Partial<AuditRow> = {}): AuditRow {
  return {
    logId: "log-a",
    seq,
    leaf: `leaf-${seq}`,
    envelope: `{"seq": ${seq}}`,
    details: null,
    timeMs: 1_000 + seq,
    event: "call.outcome",
    durability: "A",
    principal: null,
    client: null,
    tool: null,
    server: null,
    scope: null,
    method: null,
    status: null,
    decision: null,
    session: null,
    correlationId: null,
    dataClass: null,
    tenant: null,
    ...columns,
  };
}
