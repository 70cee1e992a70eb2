/**
 * A record as a row of the database's copy: its bytes, its leaf, and the columns people search by, all of them
 * derived from the record so that verification can derive them again. Who it was stands there as tokens, as the
 * sealed part has them. Used by the shipper, tail and verification.
 */
import type { AuditRow } from "../storage/store.ts";
import { parseEnvelope } from "./envelope.ts";
import { parsePart } from "./sealing.ts";
import type { RecordFrame } from "./spool/format.ts";

/** The row of a record; undefined where the envelope cannot be read. */
export function toAuditRow(record: RecordFrame): AuditRow | undefined {
  const envelope = parseEnvelope(record.envelope);
  if (envelope === undefined) return undefined;
  const { facts } = envelope;
  const part = parsePart(record.details);
  const tokens = typeof part === "object" ? part.tokens : {};
  return {
    logId: envelope.log,
    seq: envelope.seq,
    leaf: record.leaf,
    envelope: record.envelope,
    details: record.details,
    timeMs: envelope.time,
    event: envelope.event,
    durability: envelope.class,
    principal: tokens.principal ?? null,
    client: tokens.client ?? null,
    tool: toColumn(facts.tool),
    server: toColumn(facts.server),
    scope: toColumn(facts.scope),
    method: toColumn(facts.method),
    status: toColumn(facts.status),
    decision: toColumn(facts.decision),
    session: tokens.session ?? null,
    correlationId: toColumn(facts.correlationId),
    dataClass: toColumn(facts.dataClass),
    tenant: toColumn(facts.tenant),
  };
}

function toColumn(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : null;
}
