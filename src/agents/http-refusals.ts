/**
 * Refusals that the two HTTP bindings share: methods, sessions, and the revision a session's request may name.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { isLegacyRevision, isModernRevision, legacyRevisions } from "../protocol/revisions.ts";
import type { Arrival } from "./arrival.ts";
import { faultResponse } from "./http-response.ts";
import type { AgentsOptions } from "./options.ts";

export function methodNotAllowed(arrival: Arrival, allowed = "POST, GET, DELETE"): Response {
  const { method } = arrival.request;
  const fault = createFault("method-not-allowed", `Method not allowed: ${allowed} are, here`);
  const version = arrival.request.headers.get("mcp-protocol-version");
  const isModern = version !== null && isModernRevision(version.trim());
  const allow = isModern && (method === "GET" || method === "DELETE") ? "POST" : allowed;
  return faultResponse(fault, arrival.metadataUrl, { allow });
}

export function sessionsExhausted(
  options: Pick<AgentsOptions, "sessionsMax" | "sessionsPerPrincipalMax">,
): Fault {
  const { sessionsMax, sessionsPerPrincipalMax } = options;
  const message = `Overloaded: at most ${sessionsMax} sessions, ${sessionsPerPrincipalMax} of one principal`;
  return createFault("overloaded", message, { retryAfterMs: 10_000 });
}

export const sessionRequired = createFault(
  "session-required",
  "Session required: send initialize first, then its Mcp-Session-Id with every request",
);

/** Some clients send a list; its first element that we speak counts. */
export function checkVersion(header: string | null): Fault | undefined {
  if (header === null) return undefined;
  if (header.split(",").some((version) => isLegacyRevision(version.trim()))) return undefined;
  return createFault(
    "invalid-request",
    `Invalid request: MCP-Protocol-Version must be one of ${legacyRevisions.join(", ")} in a session`,
  );
}
