/** The columns of the matrix: each kind of client, and how it reaches a server's scope at the gateway. */
import {
  StreamableHTTPClientTransport as V2HttpTransport,
  SSEClientTransport as V2SseTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport as V2StdioTransport } from "@modelcontextprotocol/client/stdio";
import { SSEClientTransport as V1SseTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport as V1StdioTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as V1HttpTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { WebSocketClientTransport as V1SocketTransport } from "@modelcontextprotocol/sdk/client/websocket.js";
import { executable } from "../../support/gateway-process.ts";
import { createSocketTransport } from "../../support/socket-transport.ts";
import { fetchAs, type MatrixClient, type Place } from "./client.ts";
import { connectV1 } from "./v1-client.ts";
import { connectV2 } from "./v2-client.ts";

export interface ClientColumn {
  readonly id: string;
  readonly title: string;
  connect(place: Place): Promise<MatrixClient>;
}

const eras = [
  ["legacy", "v2"],
  ["modern", "v2 2026"],
] as const;

export const clientColumns: readonly ClientColumn[] = [
  {
    id: "v1-http",
    title: "v1 HTTP",
    connect: (place) =>
      connectV1(new V1HttpTransport(urlOf(place, "mcp"), { fetch: fetchAs(place.token) })),
  },
  {
    id: "v1-sse",
    title: "v1 SSE",
    connect: (place) =>
      connectV1(new V1SseTransport(urlOf(place, "sse"), { fetch: fetchAs(place.token) })),
  },
  {
    id: "v1-ws",
    title: "v1 WebSocket",
    connect: async (place) => connectV1(new V1SocketTransport(await ticketUrl(place))),
  },
  {
    id: "v1-bridge",
    title: "v1 bridge",
    connect: (place) => connectV1(new V1StdioTransport(bridgeOf(place))),
  },
  ...eras.flatMap(([era, line]): readonly ClientColumn[] => [
    {
      id: `v2-${era}-http`,
      title: `${line} HTTP`,
      connect: (place) =>
        connectV2(new V2HttpTransport(urlOf(place, "mcp"), { fetch: fetchAs(place.token) }), era),
    },
    {
      id: `v2-${era}-sse`,
      title: `${line} SSE`,
      connect: (place) =>
        connectV2(new V2SseTransport(urlOf(place, "sse"), { fetch: fetchAs(place.token) }), era),
    },
    {
      id: `v2-${era}-ws`,
      title: `${line} WebSocket`,
      connect(place) {
        // This line has no WebSocket of its own; a transport is what anybody may write.
        const headers = { Authorization: `Bearer ${place.token}` };
        return connectV2(createSocketTransport(urlOf(place, "ws").href, headers), era);
      },
    },
    {
      id: `v2-${era}-bridge`,
      title: `${line} bridge`,
      connect: (place) => connectV2(new V2StdioTransport(bridgeOf(place)), era),
    },
  ]),
];

function urlOf({ base, scope }: Place, path: "mcp" | "sse" | "ws" | "ws-ticket"): URL {
  const url = new URL(`${base}/${scope}/${path}`);
  if (path === "ws") url.protocol = "ws:";
  return url;
}

/** SDK v1's WebSocket client cannot send a token; a ticket in its URL stands for one. */
async function ticketUrl(place: Place): Promise<URL> {
  const asked = await fetchAs(place.token)(urlOf(place, "ws-ticket"), { method: "POST" });
  const { url } = (await asked.json()) as { readonly url: string };
  return new URL(url, urlOf(place, "ws"));
}

function bridgeOf(place: Place) {
  const args = ["bridge", "--url", urlOf(place, "mcp").href, "--token-file", place.tokenFile];
  return { command: executable, args, stderr: "ignore" as const };
}
