/**
 * Fake MCP servers on loopback ports, in this process: Streamable HTTP (SDK v1 with sessions, SDK v2 modern),
 * HTTP+SSE (v1), WebSocket (v1 and v2 over one frame transport). `port: 0` picks a port; a restart passes it again.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Server as V1Server } from "@modelcontextprotocol/sdk/server/index.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import {
  type EventStore,
  StreamableHTTPServerTransport,
} from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import {
  createMcpHandler,
  type McpHttpHandler,
  type McpServer,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { ServerTransport } from "../../../src/servers/spec.ts";
import { type Behaviour, createBehaviour } from "./behaviour.ts";
import { createV1Server, createV2Server } from "./sdk-servers.ts";

export interface FakeServer {
  readonly url: string;
  readonly port: number;
  readonly behaviour: Behaviour;
  stop(): Promise<void>;
}

export type CreateServer = (behaviour: Behaviour) => V1Server;

export async function startHttpV1(
  port = 0,
  create: CreateServer = createV1Server,
  more: { readonly eventStore?: EventStore; readonly retryInterval?: number } = {},
): Promise<FakeServer> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  return startNode(port, "/mcp", async (request, response, behaviour) => {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (known !== undefined) return known.handleRequest(request, response);
    if (id !== undefined) return notFound(response);
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      ...more,
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (made) => void sessions.set(made, transport),
    });
    await create(behaviour).connect(transport);
    return transport.handleRequest(request, response);
  });
}

export async function startSseV1(
  port = 0,
  create: CreateServer = createV1Server,
): Promise<FakeServer> {
  const sessions = new Map<string, SSEServerTransport>();
  return startNode(port, "/sse", async (request, response, behaviour) => {
    if (request.method === "GET") {
      const transport = new SSEServerTransport("/messages", response);
      sessions.set(transport.sessionId, transport);
      return create(behaviour).connect(transport);
    }
    const id = new URL(request.url ?? "/", "http://localhost").searchParams.get("sessionId");
    const transport = sessions.get(id ?? "");
    if (transport === undefined) return notFound(response);
    return transport.handlePostMessage(request, response);
  });
}

export async function startHttpV2(
  port = 0,
  create: (behaviour: Behaviour, notify: McpHttpHandler["notify"]) => McpServer = createV2Server,
): Promise<FakeServer> {
  const behaviour = createBehaviour(() => void server.stop(true));
  const handler: McpHttpHandler = createMcpHandler(() => create(behaviour, handler.notify), {
    legacy: "reject",
  });
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request) => handler.fetch(request),
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    port: server.port ?? 0,
    behaviour,
    stop: () => server.stop(true),
  };
}

export async function startWebSocket(
  sdk: "v1" | "v2",
  port = 0,
  create: CreateServer = createV1Server,
): Promise<FakeServer> {
  const behaviour = createBehaviour(() => void sockets.stop());
  const sockets = serveSockets(port, (transport) => {
    if (sdk === "v1") void create(behaviour).connect(transport);
    else serveStdio(() => createV2Server(behaviour), { transport, legacy: "reject" });
  });
  return { ...sockets, behaviour };
}

/** WebSockets for any server of either SDK: `attach` gets a transport for each, whose frames are messages. */
export function serveSockets(
  port: number,
  attach: (transport: Transport) => void,
): Omit<FakeServer, "behaviour"> {
  const server = Bun.serve<{ transport: Transport | undefined }>({
    port,
    hostname: "127.0.0.1",
    fetch(request, bun) {
      const headers = { "sec-websocket-protocol": "mcp" };
      if (bun.upgrade(request, { headers, data: { transport: undefined } })) return undefined;
      return new Response("upgrade only", { status: 426 });
    },
    websocket: {
      open(socket) {
        const transport: Transport = {
          start: async () => {},
          send: async (message) => void socket.send(JSON.stringify(message)),
          close: async () => socket.close(),
        };
        socket.data.transport = transport;
        attach(transport);
      },
      message: (socket, text) =>
        socket.data.transport?.onmessage?.(JSON.parse(String(text)) as JSONRPCMessage),
      close: (socket) => socket.data.transport?.onclose?.(),
    },
  });
  return {
    url: `ws://127.0.0.1:${server.port}/mcp`,
    port: server.port ?? 0,
    stop: () => server.stop(true),
  };
}

/** A raw HTTP server, for answers that no SDK would give. */
export async function startRaw(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<FakeServer> {
  return startNode(0, "/mcp", async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    answer(request, response, body);
  });
}

async function startNode(
  port: number,
  path: string,
  answer: (
    request: IncomingMessage,
    response: ServerResponse,
    behaviour: Behaviour,
  ) => Promise<unknown>,
): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const cut = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const behaviour = createBehaviour(cut);
  const server = createServer((request, response) => {
    answer(request, response, behaviour).catch(() => response.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}${path}`,
    port: address.port,
    behaviour,
    stop: async () => cut(),
  };
}

function notFound(response: ServerResponse): void {
  response.writeHead(404, { "content-type": "application/json" });
  const error = { code: -32001, message: "Session not found" };
  response.end(JSON.stringify({ jsonrpc: "2.0", error, id: null }));
}

/** A server on each transport a credential travels by. */
export const remoteStarts = {
  "streamable-http": startHttpV2,
  "streamable-http legacy": startHttpV1,
  "http-sse": startSseV1,
  websocket: () => startWebSocket("v1"),
} as const;
export type RemoteStart = keyof typeof remoteStarts;
export const remoteStartNames = Object.keys(remoteStarts) as RemoteStart[];

/** How the gateway reaches such a server through a guard, whose URL is an HTTP one. */
export function transportThrough(
  guardUrl: string,
  start: RemoteStart,
  headers: Readonly<Record<string, string>> = {},
): ServerTransport {
  const url = start === "websocket" ? guardUrl.replace(/^http/, "ws") : guardUrl;
  return { kind: start.replace(" legacy", "") as "streamable-http", url, headers };
}
