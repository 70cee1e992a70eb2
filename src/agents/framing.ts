/**
 * Methods and framing that no endpoint takes, refused by the listener before anything else is looked at.
 */
import { createFault, type Fault } from "../errors/fault.ts";

/** 16 bytes in base64 (RFC 6455, section 4.1). */
const handshakeKey = /^[A-Za-z0-9+/]{22}==$/;

/** What an HTTP/1.1 parser lets through and another one in front may read differently (TH-04, TH-10). */
export function checkFraming(request: Request): Fault | undefined {
  const { method } = request;
  if (method === "POST") return undefined;
  if (!["GET", "DELETE", "OPTIONS", "HEAD"].includes(method)) {
    return createFault("method-not-allowed", "Method not allowed: POST, GET and DELETE are, here");
  }
  const { headers } = request;
  const length = headers.get("content-length") ?? "0";
  if (length === "0" && !headers.has("transfer-encoding")) return undefined;
  return createFault("invalid-request", `Invalid request: ${method} carries no body`);
}

/** Headers of the answer to an upgrade that is none we take. */
export const upgradeOffer = { upgrade: "websocket", "sec-websocket-version": "13" };

/** What a WebSocket upgrade must look like; whether the caller may have one is admission's question. */
export function checkUpgrade(request: Request): Fault | undefined {
  const { headers, method } = request;
  if (method !== "GET" || headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return createFault("method-not-allowed", "Method not allowed: this path is a WebSocket's");
  }
  const connection = listOf(headers.get("connection")?.toLowerCase());
  const isHandshake =
    connection.includes("upgrade") &&
    headers.get("sec-websocket-version") === "13" &&
    handshakeKey.test(headers.get("sec-websocket-key") ?? "");
  if (!isHandshake) {
    return createFault("invalid-request", "Invalid request: no WebSocket handshake of version 13");
  }
  const offered = headers.get("sec-websocket-protocol");
  if (offered === null || listOf(offered).includes("mcp")) return undefined;
  return createFault("invalid-request", "Invalid request: the WebSocket subprotocol must be mcp");
}

function listOf(header = ""): readonly string[] {
  return header.split(",").map((name) => name.trim());
}
