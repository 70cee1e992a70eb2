/**
 * WebSocket as a transport of the official SDK. The SDK's own cannot send an Authorization header, and the gateway
 * refuses tokens in a query string; Bun's WebSocket can.
 */
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { type JSONRPCMessage, JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";
import { messageOf } from "./command.ts";

/** A transport to `url` (`ws://…`) that presents `headers` at the upgrade. */
export function createWebSocketTransport(
  url: string,
  headers: Readonly<Record<string, string>>,
): Transport {
  let socket: WebSocket | undefined;
  const transport: Transport = {
    start: () =>
      new Promise((resolve, reject) => {
        const opened = new WebSocket(url, { protocols: ["mcp"], headers: { ...headers } });
        socket = opened;
        opened.onopen = () => resolve();
        opened.onerror = () => reject(new Error(`the WebSocket at ${url} was refused`));
        opened.onclose = () => {
          reject(new Error(`the WebSocket at ${url} was closed`));
          transport.onclose?.();
        };
        opened.onmessage = (event) => receive(transport, String(event.data));
      }),
    send: async (message: JSONRPCMessage) => {
      if (socket?.readyState !== WebSocket.OPEN) throw new Error("the WebSocket is not open");
      socket.send(JSON.stringify(message));
    },
    close: async () => socket?.close(),
  };
  return transport;
}

function receive(transport: Transport, text: string): void {
  try {
    transport.onmessage?.(JSONRPCMessageSchema.parse(JSON.parse(text)));
  } catch (error) {
    transport.onerror?.(new Error(`unreadable message: ${messageOf(error)}`));
  }
}
