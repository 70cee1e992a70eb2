/** The SDK clients' own resumption: their connection is cut in the middle of a call, and the answer arrives. */
import { describe, expect, test } from "bun:test";
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { startAgents, until } from "../support/agents.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";

const headers = { authorization: "Bearer alice" };
const identity = { name: "test", version: "1" };
const waited = { content: [{ type: "text", text: "waited" }] };

/** Eager, so that a test does not wait a second for each attempt; and patient, for a busy machine fails some. */
const reconnectionOptions = {
  initialReconnectionDelay: 10,
  maxReconnectionDelay: 50,
  reconnectionDelayGrowFactor: 1.5,
  maxRetries: 50,
};

function connectOld(proxy: CutProxy, sessionId?: string) {
  const transport = new StreamableHTTPClientTransport(
    new URL(`http://127.0.0.1:${proxy.port}/mcp`),
    {
      requestInit: { headers },
      reconnectionOptions,
      ...(sessionId === undefined ? {} : { sessionId }),
    },
  );
  return { client: new Client(identity), transport };
}

describe("SDK v1", () => {
  test("the connection breaks in the middle of a call: the client comes back and gets the answer", async () => {
    await using agents = await startAgents({ sseAfterMs: 10 });
    await using proxy = await startCutProxy(agents.port);
    const { client, transport } = connectOld(proxy);
    await client.connect(transport);
    const tokens: string[] = [];
    const steps: number[] = [];
    const calling = client.callTool({ name: "wait", arguments: {} }, undefined, {
      onresumptiontoken: (token) => tokens.push(token),
      onprogress: ({ progress }) => steps.push(progress),
    });
    await until(() => tokens.length === 1);
    proxy.cut();
    await until(() => /last-event-id: /i.test(proxy.sent()));
    // The client forgets where it was if it is cut off between the head of an answer and its first event.
    await until(() => tokens.length === 2);
    proxy.cut();
    agents.dispatch.release();
    expect(await calling).toMatchObject(waited);
    const calls = agents.dispatch.seen.filter(
      (one) => "method" in one.message && one.message.method === "tools/call",
    );
    expect(calls).toHaveLength(1);
    expect(agents.dispatch.aborted).toEqual([]);
    await client.close();
  });

  test("another process of the agent takes the call over with its resumption token", async () => {
    await using agents = await startAgents({ sseAfterMs: 10 });
    await using proxy = await startCutProxy(agents.port);
    const first = connectOld(proxy);
    await first.client.connect(first.transport);
    const params = { name: "wait", arguments: {} };
    const tokens: string[] = [];
    const lost = first.client.callTool(params, undefined, {
      onresumptiontoken: (token) => tokens.push(token),
    });
    lost.catch(() => {});
    await until(() => tokens.length === 1);
    const { sessionId } = first.transport;
    await first.client.close();
    agents.dispatch.release();

    const second = connectOld(proxy, sessionId);
    await second.client.connect(second.transport);
    const result = await second.client.request(
      { method: "tools/call", params },
      CallToolResultSchema,
      { resumptionToken: tokens.at(-1) ?? "" },
    );
    expect(result).toMatchObject(waited);
    await second.client.close();
  });

  test("an error answer does not make the client ask again for ever", async () => {
    await using agents = await startAgents({ sseAfterMs: 10 });
    await using proxy = await startCutProxy(agents.port);
    const { client, transport } = connectOld(proxy);
    const errors: string[] = [];
    client.onerror = (error) => errors.push(error.message);
    await client.connect(transport);
    const calling = client.callTool({ name: "wait", arguments: {} });
    await until(() => agents.dispatch.waiting() === 1);
    await Bun.sleep(50);
    agents.dispatch.fail();
    await expect(calling).rejects.toThrow("Denied");
    await until(() => /last-event-id: /i.test(proxy.sent()));
    await Bun.sleep(300);
    expect(proxy.sent().match(/last-event-id: /gi)).toHaveLength(1);
    expect(errors).toEqual([]);
    await client.close();
  });
});

describe("SDK v2", () => {
  test("the connection breaks in the middle of a call: the client comes back and gets the answer", async () => {
    await using agents = await startAgents({ sseAfterMs: 10 });
    await using proxy = await startCutProxy(agents.port);
    const client = new ModernClient(identity, { versionNegotiation: { mode: "legacy" } });
    const url = new URL(`http://127.0.0.1:${proxy.port}/mcp`);
    await client.connect(
      new ModernHttpTransport(url, { requestInit: { headers }, reconnectionOptions }),
    );
    const tokens: string[] = [];
    const calling = client.callTool(
      { name: "wait", arguments: {} },
      { onresumptiontoken: (token) => tokens.push(token) },
    );
    await until(() => tokens.length === 1);
    proxy.cut();
    agents.dispatch.release();
    expect(await calling).toMatchObject(waited);
    expect(agents.dispatch.aborted).toEqual([]);
    await client.close();
  });
});
