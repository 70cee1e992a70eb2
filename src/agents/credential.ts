/**
 * Reads the one credential of a request: `Authorization: Bearer`, or `DPoP` with a proof beside it. No other header,
 * cookie or query value is a credential (AN-02, AN-17, AN-18); without any, the certificate of the connection is one.
 * Whether it is good is identity's question.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Credential } from "../identity/principal.ts";

const none: Credential = Object.freeze({ kind: "none" });
const bearer = /^(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*) *$/i;
const queryTokens = /(?:^|&)(?:access_token|token|bearer|api_key|apikey|authorization)=/i;

/** The credential, or the fault where the header itself is no header: repeated, or with bytes beyond ASCII. */
export function readCredential(
  authorization: string | null,
  query: string,
  certificate?: Uint8Array,
): Credential | Fault {
  if (query !== "" && queryTokens.test(query)) return unusable("token-in-query");
  if (authorization === null) {
    return certificate === undefined ? none : { kind: "certificate", certificate };
  }
  const match = bearer.exec(authorization);
  if (match?.[2] !== undefined) {
    const token = match[2];
    const isDpop = match[1]?.toLowerCase() === "dpop";
    return isDpop ? { kind: "bearer", token, scheme: "dpop" } : { kind: "bearer", token };
  }
  // A server joins repeated header lines with a comma, which no bearer token holds.
  if (authorization.includes(",") || !/^[\x20-\x7e\t]*$/.test(authorization)) {
    const message = "Invalid request: exactly one Authorization header, in ASCII, is allowed";
    return createFault("invalid-request", message, { reason: "authorization-repeated" });
  }
  return unusable("scheme");
}

function unusable(reason: string): Credential {
  return { kind: "unusable", reason };
}
