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

/** Where the metadata is that tells a refused caller how to log in; asked for by the few answers that say it. */
export type MetadataUrl = () => string;

/** A response copies these as they are, which costs a fraction of reading a record of them name by name. */
const jsonHeaders = new Headers({ ...securityHeaders, "content-type": "application/json" });

/** A JSON answer to a message. */
export function jsonResponse(
  text: string,
  status: number,
  reply: Reply | undefined,
  metadataUrl: MetadataUrl,
): Response {
  const response = new Response(text, { status, headers: jsonHeaders });
  if (reply === undefined) return response;
  const { headers } = response;
  headers.set("x-request-id", reply.requestId);
  addLimit(headers, reply);
  if (reply.outcome.kind === "fault") addFault(headers, reply.outcome.fault, metadataUrl);
  return response;
}

/** An error the edge found itself; with the request's id where one had been read. */
export function faultResponse(
  fault: Fault,
  metadataUrl: MetadataUrl,
  more: HeaderFields = {},
  idText?: string,
): Response {
  const text = renderJsonRpcError(idText, fault);
  const response = new Response(text, { status: httpStatusOf(fault), headers: jsonHeaders });
  setAll(response.headers, more);
  addFault(response.headers, fault, metadataUrl);
  return response;
}

export function emptyResponse(status: number, more: HeaderFields = {}): Response {
  return new Response(null, { status, headers: { ...securityHeaders, ...more } });
}

export function documentResponse(document: object, status = 200): Response {
  return new Response(JSON.stringify(document), { status, headers: jsonHeaders });
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

function addLimit(headers: Headers, { limit }: Reply): void {
  if (limit === undefined) return;
  const { policy } = limit;
  const name = policy.slice(0, policy.indexOf(";"));
  headers.set("ratelimit-policy", policy);
  headers.set("ratelimit", `${name};r=${limit.remaining};t=${limit.resetSeconds}`);
}

/** What another token, or another login, would mend. */
const challenged: ReadonlySet<Fault["name"]> = new Set([
  "unauthenticated",
  "insufficient-scope",
  "step-up-required",
]);

function addFault(headers: Headers, fault: Fault, metadataUrl: MetadataUrl): void {
  if (fault.retryAfterMs !== undefined) {
    headers.set("retry-after", String(Math.max(1, Math.ceil(fault.retryAfterMs / 1000))));
  }
  if (fault.name === "draining") headers.set("connection", "close");
  if (fault.fields !== undefined) setAll(headers, fault.fields);
  if (!challenged.has(fault.name)) return;
  const challenge = fault.challenge === undefined ? "" : `, ${fault.challenge}`;
  const scheme = fault.scheme ?? "Bearer";
  const where = `resource_metadata="${metadataUrl()}"`;
  headers.set("www-authenticate", `${scheme} ${where}${challenge}`);
}

function setAll(headers: Headers, fields: Readonly<HeaderFields>): void {
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
}
