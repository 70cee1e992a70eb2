/**
 * An agent of 2026-07-28 on the SDK's own client, the whole pipeline, and a legacy server on SDK v1 that asks: the
 * agent answers as if the server spoke its revision.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createAgentsListener } from "../../src/agents/listener.ts";
import { defaultAgentsOptions } from "../../src/agents/options.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createServers } from "../../src/servers/pool.ts";
import type { ServerTransport } from "../../src/servers/spec.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { clientOf, clientToken, createDataPlane, specOf } from "../support/data-plane.ts";
import { createAskingServer, questions } from "../support/fake-servers/asking.ts";
import { startHttpV1, startSseV1, startWebSocket } from "../support/fake-servers/network.ts";
import { modernCall } from "../support/modern-agent.ts";

const ends: (() => Promise<void>)[] = [];
const { form, url, sample, roots } = questions;

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startGateway(kind: ServerTransport["kind"]) {
  const servers = createServers({
    specs: new Map([
      [
        "asker",
        { ...specOf({ name: "asker" }), allowPrivateNetwork: true, transport: await start(kind) },
      ],
    ]),
    inheritedEnvironment: { PATH: "/usr/bin:/bin", HOME: "/tmp" },
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
  });
  ends.push(() => servers.close());
  const callers = ["ci", "other"].flatMap((name) => clientOf(name, { allowedTools: ["*"] }));
  const plane = createDataPlane([{ name: "asker" }], callers, servers);
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
  const address = await listener.start();
  ends.push(() => listener.stop());
  return { url: address.url, servers };
}

async function start(kind: ServerTransport["kind"]): Promise<ServerTransport> {
  if (kind === "stdio") {
    const script = new URL("../support/fake-servers/stdio-main.ts", import.meta.url).pathname;
    const command = process.execPath;
    return { kind, command, args: [script, "asks"], environment: {}, workingDirectory: undefined };
  }
  const starts = {
    "streamable-http": () => startHttpV1(0, createAskingServer),
    "http-sse": () => startSseV1(0, createAskingServer),
    websocket: () => startWebSocket("v1", 0, createAskingServer),
  };
  const fake = await starts[kind]();
  ends.push(fake.stop);
  return { kind, url: fake.url, headers: {} };
}

async function connect(base: string, scope: string) {
  const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
  const client = new Client(
    { name: "agent", version: "1" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } }, capabilities },
  );
  const asked: string[] = [];
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    return { action: "accept", content: { name: "Ada" } };
  });
  client.setRequestHandler("sampling/createMessage", () => {
    asked.push("sample");
    return { role: "assistant", content: { type: "text", text: "hello" }, model: "m" };
  });
  client.setRequestHandler("roots/list", () => {
    asked.push("roots");
    return { roots: [{ uri: "file:///a" }] };
  });
  const headers = { Authorization: `Bearer ${clientToken("ci")}` };
  const address = new URL(`${base}/${scope}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit: { headers } }));
  ends.push(() => client.close());
  return { client, asked };
}

describe.each(["stdio", "streamable-http", "http-sse", "websocket"] as const)("over %s", (kind) => {
  test("PR-24: several rounds of one live call, answered by the SDK's own client", async () => {
    const gateway = await startGateway(kind);
    const { client, asked } = await connect(gateway.url, "all");
    const rounds = [[form, roots], [sample], [url]];
    const result = await client.callTool({ name: "asker__ask", arguments: { rounds } });
    expect(asked.toSorted()).toEqual(["[asker] Name?", "[asker] Visit", "roots", "sample"]);
    const [{ text }] = JSON.parse(JSON.stringify(result.content));
    expect(JSON.parse(text)).toMatchObject([
      [{ action: "accept", content: { name: "Ada" } }, { roots: [{ uri: "file:///a" }] }],
      [{ content: { text: "hello" } }],
      [{ action: "accept" }],
    ]);
    expect(gateway.servers.status("asker")?.inFlight).toBe(0);
  });

  test("AZ-09: the state of a parked call is of no use to another principal, or for other arguments", async () => {
    const gateway = await startGateway(kind);
    const args = { rounds: [[form]] };
    const call = (caller: string, more: object) =>
      modernCall({
        base: gateway.url,
        scope: "asker",
        token: clientToken(caller),
        method: "tools/call",
        params: {
          name: "ask",
          arguments: args,
          ...more,
          _meta: { "io.modelcontextprotocol/clientCapabilities": { elicitation: {} } },
        },
      });
    const { result } = await call("ci", {});
    const { requestState, inputRequests } = result ?? {};
    const [key = ""] = Object.keys(inputRequests ?? {});
    const inputResponses = { [key]: { action: "accept", content: { name: "Eve" } } };
    const retry = { requestState, inputResponses };
    expect((await call("other", retry)).error?.code).toBe(-32602);
    const changed = { ...retry, arguments: { rounds: [] } };
    expect((await call("ci", changed)).error?.code).toBe(-32602);
    expect(JSON.stringify((await call("ci", retry)).result)).toContain("Eve");
    expect((await call("ci", retry)).error?.code).toBe(-32602);
  });
});
