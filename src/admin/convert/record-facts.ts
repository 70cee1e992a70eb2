/**
 * What a record says that the copy has no column for, read out of its envelope: path, duration, how it ended. Pure.
 */
import { parseEnvelope } from "../../audit/envelope.ts";
import { catalogue } from "../../errors/catalogue.ts";
import type { AuditRecord } from "../../gen/types.ts";

export type RecordFacts = Pick<
  AuditRecord,
  "endpoint_path" | "duration_ms" | "response_status" | "error" | "error_code"
>;

const nothing: RecordFacts = {
  endpoint_path: "",
  duration_ms: 0,
  response_status: 0,
  error: "",
  error_code: 0,
};

/** Last part of an endpoint's path, by binding. */
const endings: Readonly<Record<string, string>> = { http: "mcp", sse: "sse", websocket: "ws" };

export function recordFacts(envelope: string | null): RecordFacts {
  const facts = envelope === null ? undefined : parseEnvelope(envelope)?.facts;
  if (facts === undefined) return nothing;
  const { binding, scope, durationUs, error, code } = facts;
  const ending = endings[String(binding)];
  const isOutcome = typeof durationUs === "number";
  return {
    endpoint_path: ending === undefined || scope === undefined ? "" : `/${scope}/${ending}`,
    duration_ms: isOutcome ? durationUs / 1000 : 0,
    response_status: isOutcome ? statusOf(error) : 0,
    error: typeof error === "string" ? error : "",
    error_code: typeof code === "number" ? code : 0,
  };
}

function statusOf(error: unknown): number {
  const rows: Readonly<Record<string, { readonly http: number }>> = catalogue;
  return typeof error === "string" && Object.hasOwn(rows, error) ? (rows[error]?.http ?? 200) : 200;
}
