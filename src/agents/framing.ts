/**
 * Methods and framing that no endpoint takes, refused by the listener before anything else is looked at.
 */
import { createFault, type Fault } from "../errors/fault.ts";

/** What an HTTP/1.1 parser lets through and another one in front may read differently (TH-04, TH-10). */
export function checkFraming(request: Request): Fault | undefined {
  const { method } = request;
  if (method === "POST") return undefined;
  if (!["GET", "DELETE", "OPTIONS", "HEAD"].includes(method)) {
    return createFault("method-not-allowed", "Method not allowed: POST, GET and DELETE are, here");
  }
  const length = request.headers.get("content-length");
  if (length === null || length === "0") return undefined;
  return createFault("invalid-request", `Invalid request: ${method} carries no body`);
}

/** What a WebSocket upgrade must look like; whether the caller may have one is admission's question. */
export function checkUpgrade(request: Request): Fault | undefined {
  const { headers, method } = request;
  if (method !== "GET" || headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return createFault("method-not-allowed", "Method not allowed: this path is a WebSocket's");
  }
  const offered = headers.get("sec-websocket-protocol");
  if (offered === null || offered.split(",").some((name) => name.trim() === "mcp")) {
    return undefined;
  }
  return createFault("invalid-request", "Invalid request: the WebSocket subprotocol must be mcp");
}
