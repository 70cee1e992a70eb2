/**
 * What becomes of a server's question that gets no answer: a legacy server reads the client's error, or has its call
 * taken back; to a modern one nothing is said at all.
 */
import { describe, expect, test } from "bun:test";
import { createMcpHandler, inputRequired, McpServer } from "@modelcontextprotocol/server";
import { callTool, connectServer, needAsked, needText } from "../support/connected-server.ts";
import { until } from "../support/deadline.ts";
import { createAskingServer, questions } from "../support/fake-servers/asking.ts";
import { type FakeServer, startHttpV1, startWebSocket } from "../support/fake-servers/network.ts";

const { form, sample, roots } = questions;
const refused = { "mcp-gateway/refused": { code: -7, message: "No, thanks" } };
const withdrawn = { "mcp-gateway/withdrawn": true };

const bindings: readonly {
  readonly kind: "streamable-http" | "websocket";
  readonly start: () => Promise<FakeServer>;
}[] = [
  { kind: "streamable-http", start: () => startHttpV1(0, createAskingServer) },
  { kind: "websocket", start: () => startWebSocket("v1", 0, createAskingServer) },
];

describe.each(bindings)("a legacy server over $kind", ({ kind, start }) => {
  test("reads a refusal as the error it is, and its call goes on", async () => {
    const fake = await start();
    await using server = connectServer({ kind, url: fake.url, headers: {} });
    const args = { rounds: [[sample, roots], [form]] };
    const one = needAsked(await callTool(server.client, "ask", args));
    const [sampleKey = "", rootsKey = ""] = Object.keys(one.inputRequests);
    const listed = { roots: [{ uri: "file:///a" }] };
    const two = needAsked(
      await callTool(server.client, "ask", args, {
        ...one,
        inputResponses: { [sampleKey]: refused, [rootsKey]: listed },
      }),
    );
    const [key = ""] = Object.keys(two.inputRequests);
    const left = { action: "cancel" };
    const end = await callTool(server.client, "ask", args, {
      ...two,
      inputResponses: { [key]: left },
    });
    expect(JSON.parse(needText(end))).toEqual([[{ error: -7 }, listed], [left]]);
    await fake.stop();
  });

  test("has its call taken back when the agent's side leaves it", async () => {
    const fake = await start();
    await using server = connectServer({ kind, url: fake.url, headers: {} });
    const args = { rounds: [[form, sample], [{ ...roots, afterMs: 30_000 }]] };
    const asked = needAsked(await callTool(server.client, "ask", args));
    const [key = ""] = Object.keys(asked.inputRequests);
    const inputResponses = { [key]: withdrawn };
    const end = await callTool(server.client, "ask", args, { ...asked, inputResponses });
    expect(end).toMatchObject({ kind: "fault", fault: { name: "cancelled" } });
    expect(server.servers.status("fake")?.inFlight).toBe(0);
    await until("the cancellation to arrive", async () => {
      const seen = needText(await callTool(server.client, "seen", {}));
      return seen.includes("cancelled");
    });
    await fake.stop();
  });
});

test("a modern server is not called again, and the agent's side is told why the call ended", async () => {
  let calls = 0;
  const handler = createMcpHandler(
    () => {
      const server = new McpServer(
        { name: "asking", version: "1" },
        { capabilities: { tools: {} } },
      );
      server.registerTool("ask", {}, async () => {
        calls += 1;
        const inputRequests = { where: inputRequired.listRoots() };
        return inputRequired({ inputRequests, requestState: "s" });
      });
      return server;
    },
    { legacy: "reject" },
  );
  const http = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (one) => handler.fetch(one) });
  const transport = { kind: "streamable-http", url: `${http.url}mcp`, headers: {} } as const;
  await using server = connectServer(transport);
  const asked = needAsked(await callTool(server.client, "ask", {}));
  const end = await callTool(
    server.client,
    "ask",
    {},
    { ...asked, inputResponses: { where: refused } },
  );
  expect(end).toMatchObject({
    kind: "fault",
    fault: { name: "missing-client-capability", message: expect.stringContaining("No, thanks") },
  });
  const left = await callTool(
    server.client,
    "ask",
    {},
    { ...asked, inputResponses: { where: withdrawn } },
  );
  expect(left).toMatchObject({ kind: "fault", fault: { name: "cancelled" } });
  expect(calls).toBe(1);
  await http.stop(true);
});
