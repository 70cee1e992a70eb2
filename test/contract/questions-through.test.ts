/**
 * Questions from servers of both eras to legacy agents, with the whole pipeline in between: SDK v1 clients over every
 * binding, a server on SDK v1 and one on SDK v2. Nobody on either side knows of the other's revision.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  McpError,
} from "@modelcontextprotocol/sdk/types.js";
import {
  acceptedContent,
  createMcpHandler,
  inputRequired,
  McpServer,
} from "@modelcontextprotocol/server";
import { createAgentsListener } from "../../src/agents/listener.ts";
import { defaultAgentsOptions } from "../../src/agents/options.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createServers } from "../../src/servers/pool.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { clientOf, clientToken, createDataPlane, specOf } from "../support/data-plane.ts";
import { until } from "../support/deadline.ts";
import { createAskingServer, questions } from "../support/fake-servers/asking.ts";
import { startHttpV1 } from "../support/fake-servers/network.ts";
import { createSocketTransport } from "../support/socket-transport.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const headers = { Authorization: `Bearer ${clientToken("ci")}` };
const bindings: Readonly<Record<string, (url: string) => Transport>> = {
  "streamable http": (url) =>
    new StreamableHTTPClientTransport(new URL(`${url}/all/mcp`), { requestInit: { headers } }),
  "http+sse": (url) =>
    new SSEClientTransport(new URL(`${url}/all/sse`), {
      requestInit: { headers },
      eventSourceInit: {
        fetch: (input, init) =>
          fetch(input, { ...init, headers: { ...init?.headers, ...headers } }),
      },
    }),
  websocket: (url) => createSocketTransport(`${url.replace("http", "ws")}/all/ws`, headers),
};

function createBooker(): McpServer {
  const server = new McpServer({ name: "booker", version: "1" }, { capabilities: { tools: {} } });
  server.registerTool("book", {}, async ({ mcpReq }) => {
    const day = acceptedContent<{ name: string }>(mcpReq.inputResponses, "day")?.name;
    if (day !== undefined && mcpReq.requestState() === "state of the booker") {
      return { content: [{ type: "text", text: `booked for ${day}` }] };
    }
    const requestedSchema = {
      type: "object",
      properties: { name: { type: "string" } },
    } as const;
    const inputRequests = {
      day: inputRequired.elicit({ message: "When?", requestedSchema }),
      roots: inputRequired.listRoots(),
    };
    return inputRequired({ inputRequests, requestState: "state of the booker" });
  });
  return server;
}

async function start(createTransport: (url: string) => Transport) {
  const asking = await startHttpV1(0, createAskingServer);
  ends.push(() => asking.stop());
  const handler = createMcpHandler(createBooker, { legacy: "reject" });
  const booker = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (one) => handler.fetch(one) });
  ends.push(() => booker.stop(true));
  const specs = Object.entries({ asking: asking.url, booker: `${booker.url}mcp` }).map(
    ([name, url]) =>
      [
        name,
        {
          ...specOf({ name }),
          transport: { kind: "streamable-http", url, headers: {} },
          allowPrivateNetwork: true,
        },
      ] as const,
  );
  const servers = createServers({
    specs: new Map(specs),
    inheritedEnvironment: {},
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
  });
  ends.push(() => servers.close());
  const fakes = [{ name: "asking" }, { name: "booker" }];
  const plane = createDataPlane(fakes, clientOf("ci", { allowedTools: ["*"] }), servers);
  const listener = createAgentsListener({
    options: { ...defaultAgentsOptions, port: 0 },
    dispatch: plane.dispatch,
    log: silentLog,
    metrics: createMetrics(),
    clock: systemClock,
    snapshotChanges: () => () => {},
    resourceMetadata: () => undefined,
    version: "0.0.0",
  });
  const { url } = await listener.start();
  ends.push(() => listener.stop());
  const client = new Client(
    { name: "agent", version: "1" },
    { capabilities: { elicitation: {}, sampling: {}, roots: {} } },
  );
  await client.connect(createTransport(url));
  ends.push(() => client.close());
  return { client, servers };
}

const { form, sample, roots } = questions;
const listed = { roots: [{ uri: "file:///a" }] };

function textOf(result: unknown): string {
  return (result as { content: { text: string }[] }).content[0]?.text ?? "";
}

describe.each(Object.entries(bindings))("a legacy agent over %s", (_name, createTransport) => {
  test("is asked by a legacy server, refuses one question, and the call goes on", async () => {
    const { client } = await start(createTransport);
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: "accept",
      content: { name: "Ada" },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => listed);
    client.setRequestHandler(CreateMessageRequestSchema, () => {
      throw new McpError(-1, "User rejected");
    });
    const rounds = [[form, roots], [sample]];
    const result = await client.callTool({ name: "asking__ask", arguments: { rounds } });
    expect(JSON.parse(textOf(result))).toEqual([
      [{ action: "accept", content: { name: "Ada" } }, listed],
      [{ error: -1 }],
    ]);
  });

  test("takes its call back while it is asked, and the legacy server hears of it", async () => {
    const { client, servers } = await start(createTransport);
    const cancel = new AbortController();
    let withdrawn = false;
    client.setRequestHandler(ElicitRequestSchema, (_request, { signal }) => {
      signal.addEventListener("abort", () => {
        withdrawn = true;
      });
      cancel.abort();
      return new Promise(() => {});
    });
    const rounds = [[form], [{ ...roots, afterMs: 30_000 }]];
    const params = { name: "asking__ask", arguments: { rounds } };
    await expect(client.callTool(params, undefined, { signal: cancel.signal })).rejects.toThrow();
    await until("the cancellation to arrive", async () => {
      const seen = await client.callTool({ name: "asking__seen", arguments: {} });
      return textOf(seen).includes("cancelled");
    });
    expect(withdrawn).toBe(true);
    expect(servers.status("asking")?.inFlight).toBe(0);
  });

  test("is asked by a modern server, and told in a result when it refuses", async () => {
    const { client } = await start(createTransport);
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: "accept",
      content: { name: "Friday" },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => listed);
    const booked = await client.callTool({ name: "booker__book", arguments: {} });
    expect(textOf(booked)).toBe("booked for Friday");
    client.setRequestHandler(ListRootsRequestSchema, () => {
      throw new McpError(-32601, "No roots today");
    });
    const refused = await client.callTool({ name: "booker__book", arguments: {} });
    expect(refused.isError).toBe(true);
    expect(textOf(refused)).toContain("No roots today");
  });
});
