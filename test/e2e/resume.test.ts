/**
 * A lost connection through the compiled executable: an SDK client comes back for its answer, the server is called
 * once, and the log has one outcome; and what a session's stream says last when the gateway is stopped.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { until, within } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const stack = new AsyncDisposableStack();
let gateway: GatewayProcess;
let tiny: TinyServer;
let admin: AdminClient;
let token = "";

beforeAll(async () => {
  tiny = stack.use(startTinyServer());
  const config = { agents: { sse_after_ms: 50, resume_seconds: 60, resume_events_max: 8 } };
  gateway = stack.use(await startGateway({ config }));
  admin = stack.use(createAdminClient(gateway));
  await registerHttpServer(admin, "tiny", tiny.url);
  token = await registerClient(admin, "traveller", { allowed_tools: ["tiny__*"] });
});
afterAll(() => stack.disposeAsync());

async function connect(port: number) {
  const transport = new StreamableHTTPClientTransport(
    new URL(`http://127.0.0.1:${port}/tiny/mcp`),
    {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
      reconnectionOptions: {
        initialReconnectionDelay: 50,
        maxReconnectionDelay: 200,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries: 5,
      },
    },
  );
  const client = new Client({ name: "traveller", version: "1" });
  await client.connect(transport);
  return client;
}

test("the connection is cut twice in the middle of a call; the answer arrives, and the call ran once", async () => {
  await using proxy = await startCutProxy(Number(new URL(gateway.agents).port));
  const client = await connect(proxy.port);
  const tokens: string[] = [];
  const calling = client.callTool(
    { name: "slow", arguments: { text: "worth the wait", delay_ms: 6_000 } },
    undefined,
    { onresumptiontoken: (one) => tokens.push(one) },
  );
  await until("the stream", () => tokens.length === 1);
  proxy.cut();
  await until("the return", () => tokens.length >= 2);
  proxy.cut();
  expect(await within("the answer", calling)).toMatchObject({
    content: [{ text: "worth the wait" }],
  });
  expect(tiny.texts).toEqual(["worth the wait"]);
  await client.close();
  const records = await allRecords(admin, { tool: "slow" });
  expect(
    records.filter(({ event }) => event === "call.outcome").map(({ status }) => status),
  ).toEqual(["success"]);
});

test("SIGTERM ends the session's stream with a time to come back", async () => {
  const url = `${gateway.agents}/tiny/mcp`;
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const clientInfo = { name: "traveller", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const opened = await fetch(url, { method: "POST", headers, body });
  const sessionId = opened.headers.get("mcp-session-id") ?? "";
  const stream = await fetch(url, { headers: { ...headers, "mcp-session-id": sessionId } });
  gateway.kill("SIGTERM");
  const text = await within("the end of the stream", stream.text());
  expect(text).toMatch(/^id: [\x21-\x7e]+\nretry: 1[0-9]{3}\ndata: \n\nretry: [1-5][0-9]{3}\n\n$/);
  expect(await within("the end", gateway.exited)).toBe(0);
});
