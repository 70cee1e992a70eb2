/**
 * The SDK's WebSocket transport cannot send headers, and so no token; this one is the same with headers.
 */
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";

export function createSocketTransport(url: string, headers: Record<string, string>): Transport {
  let socket: WebSocket | undefined;
  const transport: Transport = {
    start: () =>
      new Promise((resolve, reject) => {
        socket = new WebSocket(url, { protocols: ["mcp"], headers });
        socket.onopen = () => resolve();
        socket.onerror = () => reject(new Error("the socket did not open"));
        socket.onclose = () => transport.onclose?.();
        socket.onmessage = (event) =>
          transport.onmessage?.(JSONRPCMessageSchema.parse(JSON.parse(String(event.data))));
      }),
    async send(message) {
      socket?.send(JSON.stringify(message));
    },
    async close() {
      socket?.close();
    },
  };
  return transport;
}
