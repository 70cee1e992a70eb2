/**
 * Refusals that only a WebSocket gives: what comes before the handshake, what nobody asked for, and new work while the
 * gateway goes away but the socket still stands.
 */
import { createFault } from "../errors/fault.ts";
import { renderJsonRpcError } from "../errors/render.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { drainingFault } from "./admission.ts";
import type { Spoken } from "./conversation.ts";

export const initializeFirst = createFault(
  "session-required",
  "Session required: send initialize first, or the envelope of a modern request",
);
export const unaskedResponse = createFault(
  "invalid-request",
  "Invalid request: a response to nothing that was asked",
);

export function drainingAnswer(message: McpRequest): Spoken {
  const text = renderJsonRpcError(message.idText, drainingFault);
  return { kind: "answer", text, status: 503, reply: undefined };
}
