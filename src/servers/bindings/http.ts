/**
 * Upstream HTTP for one server: a keep-alive pool on node:http(s), because fetch allows 256 requests in flight for the
 * whole process and follows redirects. Nothing is followed or decompressed, addresses pass the egress check, and
 * connecting has its own time limit. Knows no MCP. `http-sse.ts` speaks through it: its streams are few and long, and
 * `http-client.ts` serves the many short calls of Streamable HTTP.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Fault } from "../../errors/fault.ts";
import { type EventParser, EventStreamError } from "../../protocol/event-stream.ts";
import { bareHost, checkedUrl, createEgressLookup } from "../egress.ts";
import { errorCode, invalidAnswer, oversizedAnswer } from "../faults.ts";
import type { ServerSpec } from "../spec.ts";

const resolvedAddressesMax = 16;
const freeSocketsMax = 256;

export interface HttpEvents {
  readonly onResponse: (response: IncomingMessage) => void;
  /** Before or after the response began. `mayHaveRun` is false where the request surely never left. */
  readonly onFailure: (code: string, mayHaveRun: boolean) => void;
}

export interface HttpPool {
  readonly url: URL;
  /** Starts one request; the returned function ends it at once, with its connection. */
  start(
    method: "GET" | "POST" | "DELETE",
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string,
    events: HttpEvents,
  ): () => void;
  close(): void;
}

/** Failures of these kinds happen before a request is written. */
const unsentCodes = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EGRESS_REFUSED",
  "CONNECT_TIMEOUT",
]);

export function createHttpPool(spec: ServerSpec, urlText: string): HttpPool {
  const url = checkedUrl(urlText, "http", spec.allowPrivateNetwork);
  const isSecure = url.protocol === "https:";
  const sockets = { keepAlive: true, maxFreeSockets: Math.min(spec.maxInFlight, freeSocketsMax) };
  const agent = isSecure ? new HttpsAgent(sockets) : new HttpAgent(sockets);
  const start = isSecure ? httpsRequest : httpRequest;
  const fixed = {
    agent,
    host: bareHost(url),
    port: url.port === "" ? (isSecure ? 443 : 80) : Number(url.port),
    lookup: createEgressLookup(spec.allowPrivateNetwork, resolvedAddressesMax),
  };
  return {
    url,
    start(method, path, headers, body, events) {
      // A property for each option, in one literal: this runs for every call.
      const request = start({
        agent: fixed.agent,
        host: fixed.host,
        port: fixed.port,
        lookup: fixed.lookup,
        method,
        path,
        headers,
      });
      request.on("response", events.onResponse);
      limitConnecting(request, spec.connectTimeoutMs);
      request.on("error", (error) => {
        const code = errorCode(error);
        events.onFailure(code, !unsentCodes.has(code) && !code.startsWith("ERR_TLS"));
      });
      if (method === "POST") request.end(body);
      else request.end();
      return () => request.destroy();
    },
    close: () => agent.destroy(),
  };
}

/** Feeds one chunk of an event stream to its parser; returns the fault of a stream that must be given up. */
export function pushChunk(
  parser: EventParser,
  decoder: TextDecoder,
  chunk: Buffer,
  spec: ServerSpec,
): Fault | undefined {
  try {
    parser.push(decoder.decode(chunk, { stream: true }));
    return undefined;
  } catch (error) {
    if (error instanceof EventStreamError) return oversizedAnswer(spec.name, spec.responseBytesMax);
    if (error instanceof TypeError) return invalidAnswer(spec.name, "not-utf8");
    throw error;
  }
}

/** Only a new connection is timed: a reused one is connected already. */
function limitConnecting(request: ClientRequest, timeoutMs: number): void {
  request.on("socket", (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => {
      request.destroy(Object.assign(new Error("timeout"), { code: "CONNECT_TIMEOUT" }));
    }, timeoutMs);
    const stop = () => clearTimeout(timer);
    socket.once("connect", stop);
    socket.once("close", stop);
  });
}

/**
 * Headers an operator or the pipeline may not set: they frame the message, belong to MCP, or would carry the agent's
 * own credential onward.
 */
const ownedHeaders = new Set(
  "host connection content-length content-type transfer-encoding accept accept-encoding expect te upgrade".split(
    " ",
  ),
);
const credentialHeaders = new Set(["authorization", "cookie", "proxy-authorization"]);

/** An operator's headers, lower-cased, without those that are ours. */
export function operatorHeaders(
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!ownedHeaders.has(lower) && !lower.startsWith("mcp-")) kept[lower] = value;
  }
  return kept;
}

/** Adds the pipeline's headers of one call; a credential among them is dropped, whoever put it there. */
export function addCallHeaders(
  target: Record<string, string>,
  headers: Readonly<Record<string, string>>,
): void {
  for (const name in headers) {
    const lower = name.toLowerCase();
    const value = headers[name];
    if (value === undefined || ownedHeaders.has(lower) || credentialHeaders.has(lower)) continue;
    target[lower] = value;
  }
}
