/** The official SDK clients, both lines, against the agents' listener on every binding they speak. */
import { describe, expect, test } from "bun:test";
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttpTransport,
  SSEClientTransport as ModernSseTransport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { startAgents, type TestAgents, until } from "../support/agents.ts";
import { createSocketTransport } from "../support/socket-transport.ts";

const headers = { authorization: "Bearer alice" };
const identity = { name: "test", version: "1" };

const transports: Readonly<Record<string, (agents: TestAgents) => Transport>> = {
  "streamable http": ({ url }) =>
    new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
  "http+sse": ({ url }) =>
    new SSEClientTransport(new URL(`${url}/all/sse`), {
      requestInit: { headers },
      eventSourceInit: {
        fetch: (input, init) =>
          fetch(input, { ...init, headers: { ...init?.headers, ...headers } }),
      },
    }),
  websocket: ({ port }) => createSocketTransport(`ws://127.0.0.1:${port}/ws`, headers),
};

for (const [name, createTransport] of Object.entries(transports)) {
  describe(`SDK v1 over ${name}`, () => {
    test("connects, lists, calls, reports progress, cancels", async () => {
      await using agents = await startAgents();
      const client = new Client(identity);
      await client.connect(createTransport(agents));
      expect(client.getServerVersion()?.name).toBe("mcp-gateway");
      expect(client.getServerCapabilities()).toEqual({
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
      });
      expect(client.getInstructions()).toBe("Be kind.");
      await client.ping();
      await client.setLoggingLevel("warning");
      const { tools } = await client.listTools();
      expect(tools.map((tool) => tool.name)).toContain("echo");

      const result = await client.callTool({ name: "echo", arguments: { a: 1 } });
      expect(result).toEqual({ content: [{ type: "text", text: '{"a":1}' }] });

      const steps: number[] = [];
      await client.callTool({ name: "progress", arguments: {} }, undefined, {
        onprogress: (progress) => steps.push(progress.progress),
      });
      expect(steps.slice(0, 2)).toEqual([1, 2]);

      const cancel = new AbortController();
      const waiting = client.callTool({ name: "wait", arguments: {} }, undefined, {
        signal: cancel.signal,
      });
      waiting.catch(() => {});
      await until(() => agents.dispatch.waiting() === 1);
      cancel.abort();
      await expect(waiting).rejects.toThrow();
      await until(() => agents.dispatch.aborted.length === 1);
      expect(agents.dispatch.seen.at(-1)?.message).toMatchObject({
        envelope: { logLevel: "warning" },
      });
      await client.close();
    });
  });
}

describe("SDK v2 over streamable http", () => {
  for (const mode of ["legacy", "auto", { pin: "2026-07-28" }] as const) {
    test(`connects, lists, calls, reports progress, cancels: ${JSON.stringify(mode)}`, async () => {
      await using agents = await startAgents();
      const client = new ModernClient(identity, { versionNegotiation: { mode } });
      const url = new URL(`${agents.url}/mcp`);
      await client.connect(new ModernHttpTransport(url, { requestInit: { headers } }));
      const { tools } = await client.listTools();
      expect(tools.map((tool) => tool.name)).toContain("echo");
      const result = await client.callTool({ name: "echo", arguments: { a: 1 } });
      expect(result).toMatchObject({ content: [{ type: "text", text: '{"a":1}' }] });

      const steps: number[] = [];
      await client.callTool(
        { name: "progress", arguments: {} },
        { onprogress: (progress) => steps.push(progress.progress) },
      );
      expect(steps.slice(0, 2)).toEqual([1, 2]);

      const cancel = new AbortController();
      const waiting = client.callTool({ name: "wait", arguments: {} }, { signal: cancel.signal });
      waiting.catch(() => {});
      await until(() => agents.dispatch.waiting() === 1);
      cancel.abort();
      await expect(waiting).rejects.toThrow();
      await until(() => agents.dispatch.aborted.length === 1);
      await client.close();
    });
  }
});

test("SDK v2 that tries 2026-07-28 first falls back over HTTP+SSE, which is older", async () => {
  await using agents = await startAgents();
  const client = new ModernClient(identity, { versionNegotiation: { mode: "auto" } });
  const url = new URL(`${agents.url}/all/sse`);
  await client.connect(new ModernSseTransport(url, { requestInit: { headers } }));
  expect(client.getNegotiatedProtocolVersion()).toBe("2025-11-25");
  const result = await client.callTool({ name: "echo", arguments: { a: 1 } });
  expect(result.content).toEqual([{ type: "text", text: '{"a":1}' }]);
  await client.close();
});
