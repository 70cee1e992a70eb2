/**
 * Multi-round-trip requests between the official SDK's client of 2026-07-28 and servers of both eras: the agents'
 * listener, the whole pipeline and real connections between them. The modern server seals its state with the SDK's own
 * codec, the legacy one asks in the middle of its call.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import {
  acceptedContent,
  createMcpHandler,
  createRequestStateCodec,
  inputRequired,
  McpServer,
} from "@modelcontextprotocol/server";
import { createAgentsListener } from "../../src/agents/listener.ts";
import { defaultAgentsOptions } from "../../src/agents/options.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createServers } from "../../src/servers/pool.ts";
import type { ServerSpec } from "../../src/servers/spec.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { clientOf, clientToken, createDataPlane, specOf } from "../support/data-plane.ts";
import { createAskingServer, questions } from "../support/fake-servers/asking.ts";
import { startHttpV1 } from "../support/fake-servers/network.ts";
import { modernCall } from "../support/modern-agent.ts";

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const codec = createRequestStateCodec<{ name: string }>({
  key: randomBytes(32),
  bind: (context) => context.mcpReq.method,
});

const ask = (key: string, message: string) => ({
  [key]: inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [key]: { type: "string" } } },
  }),
});

/** Asks for a name, keeps it in its sealed state, asks for a day, and books. */
function createBooker(): McpServer {
  const booker = new McpServer(
    { name: "booker", version: "1" },
    {
      capabilities: { tools: {}, prompts: {}, resources: {} },
      requestState: { verify: codec.verify },
    },
  );
  booker.registerTool("book", { description: "Books a table" }, async (context) => {
    const { inputResponses, requestState } = context.mcpReq;
    const state = requestState<{ name: string }>();
    const day = acceptedContent<{ day: string }>(inputResponses, "day")?.day;
    if (state !== undefined && day !== undefined) {
      return { content: [{ type: "text", text: `${state.name} on ${day}` }] };
    }
    const name = acceptedContent<{ name: string }>(inputResponses, "name")?.name;
    if (name === undefined) return inputRequired({ inputRequests: ask("name", "Who?") });
    const next = await codec.mint({ name }, context);
    return inputRequired({ inputRequests: ask("day", "When?"), requestState: next });
  });
  booker.registerTool("roots", {}, async (context) => {
    const roots = context.mcpReq.inputResponses?.roots;
    if (roots === undefined) {
      return inputRequired({ inputRequests: { roots: inputRequired.listRoots() } });
    }
    return { content: [{ type: "text", text: JSON.stringify(roots) }] };
  });
  booker.registerPrompt("brief", {}, async (context) => {
    const topic = acceptedContent<{ topic: string }>(context.mcpReq.inputResponses, "topic");
    if (topic === undefined) return inputRequired({ inputRequests: ask("topic", "On what?") });
    return { messages: [{ role: "user", content: { type: "text", text: topic.topic } }] };
  });
  booker.registerResource("menu", "menu://today", {}, async (_uri, context) => {
    const diet = acceptedContent<{ diet: string }>(context.mcpReq.inputResponses, "diet");
    if (diet === undefined) return inputRequired({ inputRequests: ask("diet", "Diet?") });
    return { contents: [{ uri: "menu://today", text: diet.diet }] };
  });
  return booker;
}

async function startGateway() {
  const handler = createMcpHandler(createBooker, { legacy: "reject" });
  const upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => handler.fetch(request),
  });
  ends.push(() => upstream.stop(true));
  const asking = await startHttpV1(0, createAskingServer);
  ends.push(() => asking.stop());
  const urls = { booker: `http://127.0.0.1:${upstream.port}/mcp`, asking: asking.url };
  const fakes = Object.keys(urls).map((name) => ({ name }));
  const servers = createServers({
    specs: new Map(Object.entries(urls).map(([name, url]) => [name, specAt(name, url)])),
    inheritedEnvironment: {},
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
  });
  ends.push(() => servers.close());
  const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
  const plane = createDataPlane(fakes, clientOf("ci", everything), servers);
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
  return { plane, url, token: clientToken("ci") };
}

function specAt(name: string, url: string): ServerSpec {
  const transport = { kind: "streamable-http", url, headers: {} } as const;
  return { ...specOf({ name }), transport, callTimeoutMs: 10_000, allowPrivateNetwork: true };
}

const answers: Readonly<Record<string, string>> = {
  name: "Ada",
  day: "Friday",
  topic: "tea",
  diet: "none",
};

/** An agent that answers every form by its field's name, and remembers what it was asked. */
async function connect({ url, token }: { url: string; token: string }, scope: string) {
  const client = new Client(
    { name: "agent", version: "1" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } }, capabilities: { elicitation: {} } },
  );
  const asked: string[] = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    const schema = "requestedSchema" in params ? params.requestedSchema : { properties: {} };
    const [field = ""] = Object.keys(schema.properties);
    return { action: "accept", content: { [field]: answers[field] ?? "" } };
  });
  const headers = { Authorization: `Bearer ${token}` };
  const address = new URL(`${url}/${scope}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit: { headers } }));
  ends.push(() => client.close());
  return { client, asked };
}

describe("PR-24 AZ-09: rounds between SDK client and SDK server", () => {
  test.each([
    ["booker", "book", ["Who?", "When?"]],
    ["all", "booker__book", ["[booker] Who?", "[booker] When?"]],
  ])("scope %s: a tool asks twice and gets its own state back", async (scope, name, messages) => {
    const gateway = await startGateway();
    const { client, asked } = await connect(gateway, scope);
    const result = await client.callTool({ name, arguments: {} });
    expect(result.content).toEqual([{ type: "text", text: "Ada on Friday" }]);
    expect(asked).toEqual(messages);
    const outcomes = gateway.plane.records.filter(({ facts }) => facts.method === "tools/call");
    expect(outcomes.flatMap(({ facts }) => facts.status ?? [])).toEqual([
      "input_required",
      "input_required",
      "success",
    ]);
  });

  test.each([
    ["asking", "ask", "Name?"],
    ["all", "asking__ask", "[asking] Name?"],
  ])("scope %s: a legacy server asks twice within one call", async (scope, name, message) => {
    const { client, asked } = await connect(await startGateway(), scope);
    const { form } = questions;
    const result = await client.callTool({ name, arguments: { rounds: [[form], [form]] } });
    const answered = [{ action: "accept", content: { name: "Ada" } }];
    expect(result.content).toEqual([{ type: "text", text: JSON.stringify([answered, answered]) }]);
    expect(asked).toEqual([message, message]);
  });

  test("a tool that its server offers only to agents with roots is there for them alone", async () => {
    const gateway = await startGateway();
    const call = async (capabilities: object) => {
      const _meta = { "io.modelcontextprotocol/clientCapabilities": capabilities };
      const params = { name: "rooted", arguments: {}, _meta };
      const { url: base, token } = gateway;
      return modernCall({ base, scope: "asking", token, method: "tools/call", params });
    };
    expect((await call({})).error?.message).toBe("Unknown tool: rooted");
    expect((await call({ roots: {} })).error?.message).toBe("no tool rooted");
  });

  test("prompts and resources may ask too", async () => {
    const { client, asked } = await connect(await startGateway(), "booker");
    const { messages } = await client.getPrompt({ name: "brief" });
    expect(messages[0]?.content).toEqual({ type: "text", text: "tea" });
    const { contents } = await client.readResource({ uri: "menu://today" });
    expect(contents).toMatchObject([{ text: "none" }]);
    expect(asked).toEqual(["On what?", "Diet?"]);
  });

  test("a state changed on the way is refused in-band, and the server never sees it", async () => {
    const gateway = await startGateway();
    const call = (more: object) => callTool(gateway, "book", { elicitation: {} }, more);
    const name = { name: { action: "accept", content: { name: "Eve" } } };
    const { requestState } = (await call({ inputResponses: name })).result ?? {};
    const day = { day: { action: "accept", content: { day: "Monday" } } };
    const forged = await call({ inputResponses: day, requestState: `${requestState}-TAMPERED` });
    expect([forged.status, forged.error?.code]).toEqual([200, -32602]);
    expect(gateway.plane.records.at(-1)?.facts).toMatchObject({ reason: "state-forged" });
    const whole = await call({ inputResponses: day, requestState });
    expect(whole.result?.content).toEqual([{ type: "text", text: "Eve on Monday" }]);
  });

  test.each([
    ["book", "elicitation"],
    ["roots", "roots"],
  ])("%s: a question the agent cannot answer is -32021 with HTTP 400", async (tool, required) => {
    const { status, error } = await callTool(await startGateway(), tool, {}, {});
    expect([status, error?.code]).toEqual([400, -32021]);
    const capabilities = error?.data?.requiredCapabilities;
    expect(Object.keys(capabilities ?? {})).toEqual([required]);
  });
});

function callTool(
  { url, token }: { url: string; token: string },
  name: string,
  capabilities: object,
  more: object,
) {
  const _meta = { "io.modelcontextprotocol/clientCapabilities": capabilities };
  const params = { name, arguments: {}, ...more, _meta };
  return modernCall({ base: url, scope: "booker", token, method: "tools/call", params });
}
