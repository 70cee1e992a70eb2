/**
 * How answers look on HTTP: the headers every response carries, the error document, limits and challenges.
 * Pure apart from building `Response` objects; the bindings and the listener call it.
 */
import type { Fault } from "../errors/fault.ts";
import { httpStatusOf, renderJsonRpcError } from "../errors/render.ts";
import type { Reply } from "../pipeline/incoming.ts";

export const securityHeaders = Object.freeze({
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
});

const exposedHeaders =
  "WWW-Authenticate, Mcp-Session-Id, Retry-After, RateLimit, RateLimit-Policy, X-Request-ID, DPoP-Nonce";
const allowedHeaders =
  "Authorization, Content-Type, Accept, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name, " +
  "Last-Event-ID, X-Request-ID, traceparent, DPoP, Signature, Signature-Input, Content-Digest";

export type HeaderFields = Record<string, string>;

/** A JSON answer to a message; `metadataUrl` is where a refused caller learns how to log in. */
export function jsonResponse(
  text: string,
  status: number,
  reply: Reply | undefined,
  metadataUrl: string,
): Response {
  const headers: HeaderFields = { ...securityHeaders, "content-type": "application/json" };
  if (reply !== undefined) {
    headers["x-request-id"] = reply.requestId;
    addLimit(headers, reply);
    if (reply.outcome.kind === "fault") addFault(headers, reply.outcome.fault, metadataUrl);
  }
  return new Response(text, { status, headers });
}

/** An error the edge found itself; with the request's id where one had been read. */
export function faultResponse(
  fault: Fault,
  metadataUrl: string,
  more: HeaderFields = {},
  idText?: string,
): Response {
  const headers = { ...securityHeaders, "content-type": "application/json", ...more };
  addFault(headers, fault, metadataUrl);
  return new Response(renderJsonRpcError(idText, fault), {
    status: httpStatusOf(fault),
    headers,
  });
}

export function emptyResponse(status: number, more: HeaderFields = {}): Response {
  return new Response(null, { status, headers: { ...securityHeaders, ...more } });
}

export function documentResponse(document: object, status = 200): Response {
  const headers = { ...securityHeaders, "content-type": "application/json" };
  return new Response(JSON.stringify(document), { status, headers });
}

export function streamResponse(
  stream: ReadableStream<Uint8Array>,
  more: HeaderFields = {},
): Response {
  const headers = {
    ...securityHeaders,
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",
    ...more,
  };
  return new Response(stream, { headers });
}

/** What an allowed browser origin may send and read; never a wildcard. */
export function addCors(response: Response, origin: string): Response {
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-expose-headers", exposedHeaders);
  response.headers.append("vary", "Origin");
  return response;
}

export function preflightResponse(): Response {
  return emptyResponse(204, {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": allowedHeaders,
    "access-control-max-age": "600",
  });
}

function addLimit(headers: HeaderFields, reply: Reply): void {
  const { limit } = reply;
  if (limit === undefined) return;
  const [name] = limit.policy.split(";", 1);
  headers["ratelimit-policy"] = limit.policy;
  headers.ratelimit = `${name};r=${limit.remaining};t=${limit.resetSeconds}`;
}

/** What another token, or another login, would mend. */
const challenged: ReadonlySet<Fault["name"]> = new Set([
  "unauthenticated",
  "insufficient-scope",
  "step-up-required",
]);

function addFault(headers: HeaderFields, fault: Fault, metadataUrl: string): void {
  if (fault.retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(fault.retryAfterMs / 1000)));
  }
  if (fault.name === "draining") headers.connection = "close";
  if (fault.fields !== undefined) Object.assign(headers, fault.fields);
  if (!challenged.has(fault.name)) return;
  const challenge = fault.challenge === undefined ? "" : `, ${fault.challenge}`;
  const scheme = fault.scheme ?? "Bearer";
  headers["www-authenticate"] = `${scheme} resource_metadata="${metadataUrl}"${challenge}`;
}
