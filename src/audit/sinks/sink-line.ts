/**
 * A record as one line for other programs (D02, D03): the names that log pipelines look for, the record's place in the
 * log, and the facts that have no such name. Pure; used by `feed.ts`.
 *
 * Identities stand there as tokens and never in clear: a line leaves the gateway's hands, and no erasure reaches it.
 * What others wrote cannot break out of its string (ST-24): JSON escapes the ASCII controls, and the rest that a
 * terminal or a viewer would obey is escaped here.
 */
import { catalogue } from "../../errors/catalogue.ts";
import { parseEnvelope } from "../envelope.ts";
import { parsePart, type Tokens } from "../sealing.ts";
import type { SpoolRecord } from "../spool/reader.ts";
import type { SinkLevel, SinkLine } from "./sink.ts";

/** Named by members of their own; all other facts stand under `facts`. */
const namedFacts = new Set([
  "correlationId",
  "method",
  "server",
  "tool",
  "scope",
  "status",
  "decision",
  "durationUs",
  "code",
  "error",
  "tenant",
  "dataClass",
]);
/** A record is at most a few times this long; beyond it a line is kept without its facts. */
const lineCharsMax = 32 * 1024;

/** Undefined where the envelope cannot be read. */
export function toSinkLine(record: SpoolRecord): SinkLine | undefined {
  const envelope = parseEnvelope(record.envelope);
  if (envelope === undefined) return undefined;
  const { facts } = envelope;
  const status = textOf(facts.status);
  const eventType = eventTypeOf(envelope.event, status);
  const level = levelOf(envelope.event, status);
  const tokens = tokensOf(record.details);
  const more = Object.entries(facts)
    .filter(([name]) => !namedFacts.has(name))
    .map(([name, value]) => [name, withoutClient(value)] as const);
  const line = {
    timestamp: new Date(envelope.time).toISOString(),
    level,
    logger: "mcp_gateway.audit",
    event_type: eventType,
    event: envelope.event,
    request_id: facts.correlationId,
    user_id: tokens.principal,
    client_id: tokens.client,
    session_id: tokens.session,
    action: facts.method,
    mcp_server: facts.server,
    tool_name: facts.tool,
    endpoint_path: typeof facts.scope === "string" ? `/${facts.scope}` : undefined,
    status,
    policy_decision: decisionOf(status, facts.decision),
    policy_rule: withoutClient(facts.decision),
    duration_ms: typeof facts.durationUs === "number" ? facts.durationUs / 1000 : undefined,
    response_status: envelope.event === "call.outcome" ? responseStatus(facts.error) : undefined,
    error_code: facts.code,
    error: facts.error,
    tenant: facts.tenant,
    data_class: facts.dataClass,
    durability: envelope.class,
    log: envelope.log,
    seq: envelope.seq,
    leaf: record.leaf,
  };
  const whole = renderJson({
    ...line,
    ...(more.length > 0 && { facts: Object.fromEntries(more) }),
  });
  const short = more.length === 0 ? whole : renderJson({ ...line, truncated: true });
  const text = whole.length <= lineCharsMax ? whole : short;
  return { seq: record.seq, text, short, timeMs: envelope.time, level, eventType };
}

export interface SinkGap {
  readonly log: string;
  readonly from: number;
  /** Undefined where it is not known. */
  readonly count: number | undefined;
  /** The spool had to let them go, the log was given up (ST-16), or the receiver refused them. */
  readonly reason: "removed" | "log-ended" | "refused";
}

/** Says in the sink itself what it does not have. */
export function toGapLine(gap: SinkGap, timeMs: number): SinkLine {
  const line = {
    timestamp: new Date(timeMs).toISOString(),
    level: "error",
    logger: "mcp_gateway.audit",
    event_type: "audit_gap",
    ...gap,
  };
  const text = renderJson(line);
  return { seq: gap.from, text, short: text, timeMs, level: "error", eventType: "audit_gap" };
}

function eventTypeOf(event: string, status: string | undefined): string {
  if (event === "call.intent") return "mcp_intent";
  if (event === "call.outcome") return status === "denied" ? "policy_violation" : "mcp_request";
  return event.replace(/[^a-z0-9]/g, "_");
}

const errorEvents = /^(?:integrity\.violation|witness\.conflict|storage\.|signing\.|audit\.gap)/;
const quietStatuses = new Set([undefined, "ok", "success", "input_required", "cancelled"]);

function levelOf(event: string, status: string | undefined): SinkLevel {
  if (errorEvents.test(event) && event !== "storage.up") return "error";
  return quietStatuses.has(status?.toLowerCase()) ? "info" : "warn";
}

function decisionOf(status: string | undefined, rule: unknown): string | undefined {
  if (status === "denied") return "deny";
  return rule === undefined ? undefined : "allow";
}

/** The HTTP status the gateway gives such an ending on an HTTP binding. */
function responseStatus(error: unknown): number {
  if (typeof error !== "string" || !Object.hasOwn(catalogue, error)) return 200;
  return catalogue[error as keyof typeof catalogue].http;
}

/** The tokens in a sealed part; an erased one has none. */
function tokensOf(sealed: string): Tokens {
  const part = parsePart(sealed);
  return typeof part === "object" ? part.tokens : {};
}

/** A rule that is a client's own registration is called by the client's id, which is an identity. */
function withoutClient(value: unknown): unknown {
  return typeof value === "string" && value.startsWith("client:") ? "client" : value;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** DEL, C1 controls (one of them opens an ANSI sequence by itself), line separators, direction marks, tags, BOM. */
const obeyed =
  /[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g;

/** They can stand inside strings only, so escaping them in the finished text leaves the same JSON. */
function renderJson(value: object): string {
  return JSON.stringify(value).replace(obeyed, (found) =>
    found.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
}
