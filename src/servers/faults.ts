/**
 * The faults of this edge, worded once. The caller reads the server's registered name and what went wrong; what the
 * server itself said stays in `reason`, for the record and the log.
 */
import { createFault, type Fault, GatewayError } from "../errors/fault.ts";
import type { ServerErrorBody } from "../protocol/messages.ts";
import type { WireAnswer } from "./wire.ts";

const retryAfterMsMax = 60_000;

export function unreachable(server: string, reason: string, retryAfterMs = 1_000): Fault {
  return createFault("upstream-unreachable", `Server ${server} could not be reached`, {
    reason,
    retryAfterMs: Math.min(Math.ceil(retryAfterMs), retryAfterMsMax),
  });
}

/** The connection ended between the request and its answer: nobody knows whether it was carried out. */
export function connectionLost(server: string, reason: string): Fault {
  return createFault(
    "upstream-unreachable",
    `The connection to server ${server} was lost before it answered; the call may have been carried out`,
    { reason, data: { executed: "unknown" } },
  );
}

export function invalidAnswer(server: string, reason: string, retryAfterMs?: number): Fault {
  return createFault("upstream-invalid", `Server ${server} gave an unusable answer`, {
    reason,
    ...(retryAfterMs !== undefined && { retryAfterMs: Math.min(retryAfterMs, retryAfterMsMax) }),
  });
}

export function oversizedAnswer(server: string, bytesMax: number): Fault {
  return createFault(
    "upstream-invalid",
    `Server ${server} answered with more than the ${bytesMax} bytes allowed`,
    { reason: "answer-too-large" },
  );
}

export function timedOut(server: string, timeoutMs: number): Fault {
  return createFault(
    "upstream-timeout",
    `Server ${server} did not answer within ${Math.round(timeoutMs)} ms`,
    { reason: "timeout" },
  );
}

/** Without a page where it is the gateway itself that asks. */
export function consentRequired(server: string, url?: string): Fault {
  const how = url === undefined ? "" : `: open ${url} in a browser, then call again`;
  return createFault("consent-required", `Server ${server} needs its user's consent${how}`, {
    reason: "no-grant",
    ...(url !== undefined && { data: { server, url } }),
  });
}

/** A modern server cannot be told that nobody answers it: its call simply is not taken up again. */
export function unanswered(server: string, refusal: ServerErrorBody | "withdrawn"): Fault {
  if (refusal === "withdrawn") return cancelled;
  const message = `The client refused what server ${server} asked: ${refusal.message}`;
  return createFault("missing-client-capability", message, { reason: "question-refused" });
}

export const cancelled: Fault = Object.freeze(createFault("cancelled", "Cancelled"));

export function failed(
  fault: Fault,
  mayHaveRun: boolean,
  status?: number,
): Extract<WireAnswer, { kind: "fault" }> {
  return { kind: "fault", fault, mayHaveRun, status };
}

/**
 * The fault of anything thrown while connecting. A refusal of ours, as by the egress check, makes the server
 * unreachable to agents; what carries no system error code is a bug and says so.
 */
export function faultOf(server: string, error: unknown): Fault {
  if (!(error instanceof GatewayError)) {
    const code = errorCode(error);
    const isSystemError = code === code.toUpperCase();
    return isSystemError
      ? unreachable(server, code)
      : createFault("internal", "Internal error", { reason: code });
  }
  const { fault } = error;
  if (fault.name !== "invalid-params") return fault;
  return unreachable(server, fault.reason ?? fault.name);
}

export function errorOf(fault: Fault): GatewayError {
  const { name, message, ...more } = fault;
  return new GatewayError(name, message, more);
}

/** A short code for a system error: `ECONNREFUSED`, `ENOTFOUND`, or the error's class. */
export function errorCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "unknown";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.name : "unknown";
}
