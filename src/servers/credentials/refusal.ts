/**
 * The fault of a call for which no credential could be had. What the authorization server said is in the reason, for
 * the record and the log; the agent learns that the server could not be reached, and nothing of our client.
 */
import type { GatewayError } from "../../errors/fault.ts";
import { errorOf, unreachable } from "../faults.ts";

const retryAfterMs = 5_000;

/** `reason` is a short code such as `oauth-invalid_client`. */
export function refusedBy(server: string, reason: string): GatewayError {
  return errorOf(unreachable(server, reason, retryAfterMs));
}
