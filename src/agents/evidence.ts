/**
 * What a request proves its credential by, read off the wire for `identity/` to judge: the certificate of its
 * connection, a DPoP proof, a signature. A certificate in a `Client-Cert` header (RFC 9440) counts from trusted
 * proxies alone, and only where the configuration says that they send it (AN-22).
 */
import type { Evidence } from "../identity/principal.ts";
import type { Caller } from "./conversation.ts";

const certificateCharsMax = 96 * 1024;
const byteSequence = /^:([A-Za-z0-9+/]+={0,2}):$/;

/** Undefined for most requests, which bring nothing of the kind. */
export function readEvidence(
  request: Request,
  url: () => string,
  certificate: Uint8Array | undefined,
): Evidence | undefined {
  const { headers, method } = request;
  const brings = headers.get("signature-input") !== null || headers.get("dpop") !== null;
  if (!brings && certificate === undefined) return undefined;
  // A copy: a socket keeps its evidence for as long as it lives, and the request with it otherwise.
  return { method, url: url(), headers: new Headers(headers), certificate, body: undefined };
}

/** The certificate a trusted proxy passes on; undefined where there is none, or it is not one byte sequence. */
export function readForwardedCertificate(field: string | null): Uint8Array | undefined {
  if (field === null || field.length > certificateCharsMax) return undefined;
  const text = byteSequence.exec(field.trim())?.[1];
  return text === undefined ? undefined : Buffer.from(text, "base64");
}

/** The body has been read: a digest in the headers can be held against it. */
export function noteBody({ evidence }: Caller, bytes: Uint8Array | ArrayBuffer): void {
  if (evidence === undefined) return;
  evidence.body = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
}
