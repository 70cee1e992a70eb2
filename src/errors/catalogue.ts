/**
 * The one error table: for every named failure its JSON-RPC code, HTTP status, gRPC status, WebSocket close
 * code and retry advice. Renderers look a row up; nobody else writes these numbers.
 *
 * MCP reserves -32020..-32099 and freezes -32000..-32019, so our own JSON-RPC codes are positive:
 * HTTP status x 100 + n. `http: 200` means the error travels in-band, as an ordinary JSON-RPC error.
 */
export interface ErrorRow {
  /** JSON-RPC error code. */
  readonly code: number;
  /** HTTP status while the response is uncommitted; 200 = in-band. */
  readonly http: number;
  /** gRPC status name. */
  readonly grpc: GrpcStatusName;
  /** WebSocket close code, or undefined where the socket stays open. */
  readonly close: number | undefined;
  /** Whether asking again can help: never, after a wait, after something else happened first. */
  readonly retry:
    | "no"
    | "after"
    | "after-login"
    | "after-approval"
    | "new-session"
    | "re-read"
    | "if-idempotent";
  /** What the caller reads when the fault brings no message of its own. */
  readonly message: string;
}

export type GrpcStatusName =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "ALREADY_EXISTS"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

function row(
  code: number,
  http: number,
  grpc: GrpcStatusName,
  close: number | undefined,
  retry: ErrorRow["retry"],
  message: string,
): ErrorRow {
  return Object.freeze({ code, http, grpc, close, retry, message });
}

const stays = undefined;

export const catalogue = Object.freeze({
  "parse-error": row(-32700, 400, "INVALID_ARGUMENT", stays, "no", "Parse error"),
  "invalid-request": row(-32600, 400, "INVALID_ARGUMENT", stays, "no", "Invalid request"),
  "invalid-envelope": row(-32602, 400, "INVALID_ARGUMENT", stays, "no", "Invalid params"),
  "invalid-params": row(-32602, 200, "INVALID_ARGUMENT", stays, "no", "Invalid params"),
  "method-not-found": row(-32601, 404, "UNIMPLEMENTED", stays, "no", "Method not found"),
  "target-hidden": row(-32602, 200, "NOT_FOUND", stays, "no", "Unknown target"),
  "header-mismatch": row(-32020, 400, "INVALID_ARGUMENT", stays, "no", "Header mismatch"),
  "missing-client-capability": row(
    -32021,
    400,
    "FAILED_PRECONDITION",
    stays,
    "no",
    "Missing required client capability",
  ),
  "unsupported-version": row(
    -32022,
    400,
    "FAILED_PRECONDITION",
    stays,
    "no",
    "Unsupported protocol version",
  ),
  "session-required": row(
    40001,
    400,
    "FAILED_PRECONDITION",
    4400,
    "new-session",
    "Session required",
  ),
  "session-unknown": row(40400, 404, "NOT_FOUND", 4404, "new-session", "Session not found"),
  "scope-unknown": row(40401, 404, "NOT_FOUND", 4404, "no", "Not found"),
  "method-not-allowed": row(40500, 405, "UNIMPLEMENTED", stays, "no", "Method not allowed"),
  "not-acceptable": row(40600, 406, "INVALID_ARGUMENT", stays, "no", "Not acceptable"),
  unauthenticated: row(
    40101,
    401,
    "UNAUTHENTICATED",
    4401,
    "after-login",
    "Authentication required",
  ),
  "step-up-required": row(
    40102,
    401,
    "UNAUTHENTICATED",
    stays,
    "after-login",
    "A stronger or more recent login is required",
  ),
  "policy-denied": row(40301, 403, "PERMISSION_DENIED", stays, "no", "Denied by policy"),
  "insufficient-scope": row(40302, 403, "PERMISSION_DENIED", stays, "no", "Insufficient scope"),
  "origin-refused": row(40303, 403, "PERMISSION_DENIED", 4403, "no", "Origin or host refused"),
  "tool-quarantined": row(
    40304,
    403,
    "FAILED_PRECONDITION",
    stays,
    "after-approval",
    "Tool quarantined",
  ),
  "consent-required": row(
    40305,
    403,
    "FAILED_PRECONDITION",
    stays,
    "after-approval",
    "Consent required",
  ),
  "approval-required": row(
    40306,
    403,
    "FAILED_PRECONDITION",
    stays,
    "after-approval",
    "Approval required",
  ),
  "client-too-slow": row(40801, 408, "DEADLINE_EXCEEDED", 1013, "after", "Client too slow"),
  "state-conflict": row(40901, 409, "ABORTED", stays, "re-read", "State changed meanwhile"),
  "not-signed-yet": row(
    40903,
    409,
    "FAILED_PRECONDITION",
    stays,
    "after",
    "Not under a checkpoint yet",
  ),
  "already-exists": row(40902, 409, "ALREADY_EXISTS", stays, "no", "Already exists"),
  "resource-not-found": row(40402, 404, "NOT_FOUND", stays, "no", "Not found"),
  "payload-too-large": row(41301, 413, "RESOURCE_EXHAUSTED", 1009, "no", "Payload too large"),
  "unsupported-media-type": row(
    41500,
    415,
    "INVALID_ARGUMENT",
    stays,
    "no",
    "Unsupported media type",
  ),
  "rate-limited": row(42901, 429, "RESOURCE_EXHAUSTED", stays, "after", "Rate limited"),
  "too-many-in-flight": row(
    42902,
    429,
    "RESOURCE_EXHAUSTED",
    stays,
    "after",
    "Too many requests in flight",
  ),
  cancelled: row(49901, 499, "CANCELLED", stays, "no", "Cancelled"),
  internal: row(-32603, 500, "INTERNAL", 1011, "no", "Internal error"),
  "upstream-invalid": row(50201, 502, "UNAVAILABLE", stays, "no", "Bad answer from the server"),
  "upstream-unreachable": row(50202, 502, "UNAVAILABLE", stays, "after", "Server unreachable"),
  "audit-unavailable": row(
    50301,
    503,
    "UNAVAILABLE",
    1013,
    "after",
    "Audit unavailable; not executed",
  ),
  "outcome-unrecorded": row(
    50302,
    503,
    "UNAVAILABLE",
    1013,
    "no",
    "Executed, but the outcome could not be recorded",
  ),
  overloaded: row(50303, 503, "UNAVAILABLE", 1013, "after", "Overloaded"),
  draining: row(50304, 503, "UNAVAILABLE", 1001, "after", "Shutting down"),
  "upstream-circuit-open": row(
    50305,
    503,
    "UNAVAILABLE",
    stays,
    "after",
    "Server temporarily taken out of service",
  ),
  "upstream-timeout": row(
    50401,
    504,
    "DEADLINE_EXCEEDED",
    stays,
    "if-idempotent",
    "Server did not answer in time",
  ),
}) satisfies Readonly<Record<string, ErrorRow>>;

export type ErrorName = keyof typeof catalogue;
