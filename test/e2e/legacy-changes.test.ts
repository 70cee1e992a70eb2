/** Change notices through the executable to legacy agents: from servers of both eras and from operators. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { type FakeServer, startHttpV1, startHttpV2 } from "../support/fake-servers/network.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { createSocketTransport } from "../support/socket-transport.ts";

let gateway: GatewayProcess;
let admin: AdminClient;
let headers: Record<string, string> = {};
const servers: FakeServer[] = [];

beforeAll(async () => {
  servers.push(await startHttpV1(), await startHttpV2());
  gateway = await startGateway();
  admin = createAdminClient(gateway);
  for (const [at, name] of ["old", "new"].entries()) {
    await registerHttpServer(admin, name, servers[at]?.url ?? "");
  }
  const all = { allowed_tools: ["*"], allowed_resources: ["*"], allowed_prompts: ["*"] };
  headers = { Authorization: `Bearer ${await registerClient(admin, "visitor", all)}` };
});
afterAll(async () => {
  admin[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
  for (const server of servers) await server.stop();
});

const bindings: Readonly<Record<string, (scope: string) => Transport>> = {
  "Streamable HTTP": (scope) =>
    new StreamableHTTPClientTransport(new URL(`${gateway.agents}/${scope}/mcp`), {
      requestInit: { headers },
    }),
  "HTTP+SSE": (scope) =>
    new SSEClientTransport(new URL(`${gateway.agents}/${scope}/sse`), {
      requestInit: { headers },
      eventSourceInit: {
        fetch: (input, init) =>
          fetch(input, { ...init, headers: { ...init?.headers, ...headers } }),
      },
    }),
  WebSocket: (scope) =>
    createSocketTransport(`${gateway.agents.replace("http", "ws")}/${scope}/ws`, headers),
};

async function connect(createTransport: (scope: string) => Transport, scope: string) {
  const client = new Client({ name: "legacy", version: "1" });
  const heard: string[] = [];
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push("tools"));
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    heard.push(params.uri);
  });
  await client.connect(createTransport(scope));
  return { client, heard };
}

/** A Streamable HTTP session outlives its connections. */
async function disconnect(client: Client): Promise<void> {
  const { transport } = client;
  if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
  await client.close();
}

describe.each(Object.entries(bindings))(
  "a legacy agent over %s hears",
  (_name, createTransport) => {
    test.each(["old", "new"])(
      "of the %s server's tools, and of a resource it subscribed to",
      async (scope) => {
        const { client, heard } = await connect(createTransport, scope);
        const change = (args: Record<string, unknown>) =>
          client.callTool({ name: "change", arguments: args });
        // Listening begins a moment after the handshake.
        await until("the list change", async () => {
          await change({ kind: "tools" });
          return heard.includes("tools");
        });
        const uri = "note://one";
        await change({ uri });
        await client.subscribeResource({ uri });
        await until("the update", async () => {
          await change({ uri });
          return heard.includes(uri);
        });
        await client.unsubscribeResource({ uri });
        const before = heard.filter((one) => one === uri).length;
        await change({ uri });
        await change({ kind: "tools" });
        const tools = heard.filter((one) => one === "tools").length;
        await until("a later change", () => heard.filter((one) => one === "tools").length > tools);
        expect(heard.filter((one) => one === uri)).toHaveLength(before);
        await disconnect(client);
      },
    );

    test("of an operator's new server, in the joined scope", async () => {
      const { client, heard } = await connect(createTransport, "all");
      await until(
        "the listen",
        async () => (await readMetric(gateway.ops, "mcp_gateway_listens")) > 0,
      );
      await registerHttpServer(
        admin,
        `more-${crypto.randomUUID().slice(0, 8)}`,
        servers[1]?.url ?? "",
      );
      await until("the list change", () => heard.includes("tools"));
      await disconnect(client);
    });
  },
);

test("sessions of one client hear by one listen, which ends after the last of them", async () => {
  const listens = () => readMetric(gateway.ops, "mcp_gateway_listens");
  await until("the listens of other tests to end", async () => (await listens()) === 0);
  const agents = await Promise.all(
    Object.values(bindings)
      .flatMap((createTransport) => [createTransport, createTransport])
      .map((createTransport) => connect(createTransport, "new")),
  );
  const [first] = agents;
  await until("the list change everywhere", async () => {
    await first?.client.callTool({ name: "change", arguments: { kind: "tools" } });
    return agents.every(({ heard }) => heard.includes("tools"));
  });
  expect(await listens()).toBe(1);
  const uri = "note://one";
  await first?.client.subscribeResource({ uri });
  expect(await listens()).toBe(2);
  await first?.client.unsubscribeResource({ uri });
  await until("the subscription's listen to end", async () => (await listens()) === 1);
  for (const { client } of agents) await disconnect(client);
  await until("the shared listen to end", async () => (await listens()) === 0);
});
