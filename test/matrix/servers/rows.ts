/** The rows of the matrix: each kind of server, started on loopback, and how an operator registers it. */
import { join } from "node:path";
import * as sdk from "@modelcontextprotocol/server";
import { createMcpHandler, type McpHttpHandler } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { AdminMessage } from "../../support/admin-client.ts";
import { createLegacySessions } from "../../support/conformance-server/legacy-sessions.ts";
import { serveSockets, startHttpV1, startSseV1 } from "../../support/fake-servers/network.ts";
import { createWorld } from "./script.ts";
import { createV1Fixture } from "./v1-server.ts";
import { createV2Fixture } from "./v2-server.ts";

export interface ServerRow {
  /** Also the server's name at the gateway, and so its scope. */
  readonly id: string;
  readonly title: string;
  /** Undefined where there is no such server; `exists` would notice if one came. */
  readonly start: (() => Promise<StartedServer>) | undefined;
  readonly exists?: () => boolean;
}

export interface StartedServer {
  /** Its transport, as the admin plane takes it. */
  readonly registration: AdminMessage;
  stop(): Promise<unknown>;
}

const sseServersOfV2 = () => Object.keys(sdk).filter((name) => /^SSE|HttpSse/i.test(name));

export const serverRows: readonly ServerRow[] = [
  { id: "v1-stdio", title: "v1, stdio", start: async () => stdio("v1") },
  { id: "v1-http", title: "v1, Streamable HTTP", start: startV1Http },
  { id: "v1-sse", title: "v1, HTTP+SSE", start: startV1Sse },
  { id: "v1-ws", title: "v1, WebSocket", start: startV1Sockets },
  { id: "v2-stdio", title: "v2, stdio", start: async () => stdio("v2") },
  { id: "v2-http", title: "v2, Streamable HTTP", start: startV2Http },
  { id: "v2-http-legacy", title: "v2, Streamable HTTP, legacy", start: startV2LegacyHttp },
  {
    id: "v2-sse",
    title: "v2, HTTP+SSE",
    start: undefined,
    exists: () => sseServersOfV2().length > 0,
  },
  { id: "v2-ws", title: "v2, WebSocket", start: startV2Sockets },
];

function stdio(line: "v1" | "v2"): StartedServer {
  const args = [join(import.meta.dir, "stdio-main.ts"), line];
  return { registration: { stdio: { command: process.execPath, args } }, stop: async () => {} };
}

function remote(kind: string, url: string, stop: () => Promise<unknown>): StartedServer {
  const registration = {
    remote: { kind: `REMOTE_KIND_${kind}`, url },
    allow_private_network: true,
  };
  return { registration, stop };
}

async function startV1Http(): Promise<StartedServer> {
  const world = createWorld();
  const { url, stop } = await startHttpV1(0, () => createV1Fixture(world));
  return remote("STREAMABLE_HTTP", url, stop);
}

async function startV1Sse(): Promise<StartedServer> {
  const world = createWorld();
  const { url, stop } = await startSseV1(0, () => createV1Fixture(world));
  return remote("HTTP_SSE", url, stop);
}

async function startV1Sockets(): Promise<StartedServer> {
  const world = createWorld();
  const attach: Parameters<typeof serveSockets>[1] = (transport) =>
    void createV1Fixture(world).connect(transport);
  const { url, stop } = serveSockets(0, attach);
  return remote("WEBSOCKET", url, stop);
}

async function startV2Sockets(): Promise<StartedServer> {
  const world = createWorld();
  const { url, stop } = serveSockets(0, (transport) => {
    serveStdio(() => createV2Fixture(world, "modern"), { transport, legacy: "reject" });
  });
  return remote("WEBSOCKET", url, stop);
}

async function startV2Http(): Promise<StartedServer> {
  const world = createWorld();
  const handler: McpHttpHandler = createMcpHandler(() => createV2Fixture(world, "once"), {
    legacy: "reject",
  });
  world.followers.add(handler.notify);
  return serveHttp(handler.fetch);
}

async function startV2LegacyHttp(): Promise<StartedServer> {
  const world = createWorld();
  return serveHttp(createLegacySessions(() => createV2Fixture(world, "legacy")).fetch);
}

function serveHttp(fetch: (request: Request) => Promise<Response>): StartedServer {
  const serving = { port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch };
  const server = Bun.serve(serving);
  const url = `http://127.0.0.1:${server.port}/mcp`;
  return remote("STREAMABLE_HTTP", url, () => server.stop(true));
}
