/**
 * Tasks from agent to server over real connections (reference section 4.4): a server of 2026-07-28 with the extension,
 * a legacy server on the official SDK, raw agents of 2026-07-28 and the official SDK's legacy client.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema, ResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { systemClock } from "../../src/lib/clock.ts";
import { tasksExtension } from "../../src/protocol/tasks.ts";
import { createServers } from "../../src/servers/pool.ts";
import type { ServerSpec } from "../../src/servers/spec.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { clientOf, clientToken, specOf } from "../support/data-plane.ts";
import { until } from "../support/deadline.ts";
import { startModernTasking } from "../support/fake-servers/modern-tasking.ts";
import { startHttpV1 } from "../support/fake-servers/network.ts";
import { createTaskingServer } from "../support/fake-servers/tasking.ts";
import { modernCall, modernMeta, modernPost } from "../support/modern-agent.ts";
import { startPlaneGateway } from "../support/plane-gateway.ts";

const ends: (() => PromiseLike<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const extension = { extensions: { [tasksExtension]: {} } };
const withForms = { ...extension, elicitation: { form: {} } };
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = [...clientOf("ann", everything), ...clientOf("bob", everything)];

async function startWorld() {
  const modern = startModernTasking();
  const legacy = await startHttpV1(0, createTaskingServer);
  ends.push(() => modern[Symbol.asyncDispose](), legacy.stop);
  const urls = { modern: modern.url, legacy: legacy.url };
  const specs = Object.entries(urls).map(([name, url]) => [name, specAt(name, url)] as const);
  /** A gateway that knows nothing of another one's past. */
  const startGateway = async () => {
    const servers = createServers({
      specs: new Map(specs),
      inheritedEnvironment: {},
      gatewayVersion: "0.0.0",
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
    });
    const names = Object.keys(urls).map((name) => ({ name }));
    const gateway = await startPlaneGateway(names, state, {}, servers);
    ends.push(
      () => servers.close(),
      () => gateway[Symbol.asyncDispose](),
    );
    return gateway;
  };
  return { modern, legacy, startGateway, gateway: await startGateway() };
}

function specAt(name: string, url: string): ServerSpec {
  const transport = { kind: "streamable-http", url, headers: {} } as const;
  return { ...specOf({ name }), transport, callTimeoutMs: 10_000, allowPrivateNetwork: true };
}

/** One request of an agent of 2026-07-28 that declares what is given. */
function agentOf(base: string, who = "ann", capabilities: object = extension) {
  const _meta = { ...modernMeta, "io.modelcontextprotocol/clientCapabilities": capabilities };
  return async (method: string, params: object = {}, scope = "all") =>
    modernCall({ base, scope, token: clientToken(who), method, params: { ...params, _meta } });
}

describe("a modern server with the extension", () => {
  test("is announced, and its tasks pass under ids of the gateway's own", async () => {
    const { gateway, modern } = await startWorld();
    const ask = agentOf(gateway.base, "ann", withForms);
    for (const scope of ["all", "modern", "legacy"]) {
      const { result } = await ask("server/discover", {}, scope);
      expect(result).toMatchObject({ capabilities: extension });
    }
    const created = await ask("tools/call", { name: "modern__work" });
    expect(created.result).toMatchObject({ resultType: "task", status: "working" });
    const taskId = String(created.result?.taskId);
    expect(taskId).toMatch(/^[A-Za-z0-9_-]+$/);
    const params = { message: "Name?", requestedSchema: { type: "object", properties: {} } };
    modern.become({
      status: "input_required",
      inputRequests: { a: { method: "elicitation/create", params } },
    });
    const asking = await ask("tasks/get", { taskId });
    expect(asking.result).toMatchObject({
      taskId,
      resultType: "complete",
      inputRequests: { a: { params: { message: "[modern] Name?" } } },
    });
    const inputResponses = { a: { action: "accept", content: {} } };
    const updated = await ask("tasks/update", { taskId, inputResponses });
    expect(updated.result).toMatchObject({ resultType: "complete" });
    modern.become({ status: "completed", inputRequests: undefined, result: { content: [] } });
    expect((await ask("tasks/get", { taskId })).result).toMatchObject({
      taskId,
      status: "completed",
      result: { content: [] },
    });
    expect((await ask("tasks/cancel", { taskId })).result).toMatchObject({
      resultType: "complete",
    });
    const about = modern.seen.filter(({ method }) => method.startsWith("tasks/"));
    expect(about.map(({ method, name, params: got }) => [method, name, got.taskId])).toEqual(
      ["get", "update", "get", "cancel"].map((verb) => [`tasks/${verb}`, "task 1", "task 1"]),
    );
    expect(about[1]?.params.inputResponses).toEqual(inputResponses);
  });

  test("AZ-07: ids outlive the gateway, and serve their principal alone", async () => {
    const { gateway, startGateway } = await startWorld();
    const created = await agentOf(gateway.base)("tools/call", { name: "modern__work" });
    const taskId = String(created.result?.taskId);
    const restarted = await startGateway();
    const again = await agentOf(restarted.base)("tasks/get", { taskId });
    expect(again.result).toMatchObject({ taskId, status: "working" });
    const answers = [
      await agentOf(restarted.base, "bob")("tasks/get", { taskId }),
      await agentOf(restarted.base)("tasks/get", { taskId }, "legacy"),
      await agentOf(restarted.base)("tasks/get", { taskId: "task 1" }),
    ];
    for (const { status, error } of answers) {
      expect([status, error]).toEqual([200, { code: -32602, message: "Unknown task" }]);
    }
  });

  test("is not told of tasks by an agent without them; its -32021 is relayed as it is, by 400", async () => {
    const { gateway, modern } = await startWorld();
    const refused = await agentOf(gateway.base, "ann", {})("tools/call", { name: "modern__work" });
    expect(refused.status).toBe(400);
    expect(refused.error).toMatchObject({
      code: -32021,
      message: "needs tasks",
      data: { requiredCapabilities: extension },
    });
    const call = modern.seen.find(({ method }) => method === "tools/call");
    expect(JSON.stringify(call?.params)).not.toContain(tasksExtension);
    const undeclared = await agentOf(gateway.base, "ann", {})("tasks/get", { taskId: "x" });
    expect([undeclared.status, undeclared.error?.code]).toEqual([400, -32021]);
    expect(undeclared.error?.data).toMatchObject({ requiredCapabilities: extension });
    for (const method of ["tasks/list", "tasks/result"]) {
      const { status, error } = await agentOf(gateway.base)(method, {});
      expect([status, error?.code]).toEqual([404, -32601]);
    }
    const without = await modernPost({
      base: gateway.base,
      token: clientToken("ann"),
      method: "tasks/get",
      params: { taskId: "x" },
      headers: { "Mcp-Name": "y" },
    });
    expect(await without.json()).toMatchObject({ error: { code: -32020 } });
  });

  test("is listened to for one task, under the listener's id of it", async () => {
    const { gateway, modern } = await startWorld();
    const ask = agentOf(gateway.base);
    const taskId = String((await ask("tools/call", { name: "modern__work" })).result?.taskId);
    const listening = await listen(gateway.base, [taskId, "made-up"]);
    await until("the acknowledgement", () => listening.told.length === 1);
    expect(listening.told[0]).toMatchObject({ params: { notifications: { taskIds: [taskId] } } });
    modern.become({ status: "completed", result: { content: [] } });
    await until("the change", () => listening.told.length === 2);
    expect(listening.told[1]).toMatchObject({
      method: "notifications/tasks",
      params: { taskId, status: "completed", result: { content: [] } },
    });
    expect(JSON.stringify(listening.told)).not.toContain("task 1");
    listening.stop();
  });
});

describe("a legacy server's tool that runs as a task alone", () => {
  test("is a task to a modern agent with the extension, its questions and its listeners included", async () => {
    const { gateway } = await startWorld();
    const ask = agentOf(gateway.base, "ann", withForms);
    const args = { name: "legacy__work", arguments: { delayMs: 100, questions: 1 } };
    const created = await ask("tools/call", args);
    const taskId = String(created.result?.taskId);
    expect(created.result?.resultType).toBe("task");
    const listening = await listen(gateway.base, [taskId], withForms);
    const find = (status: string) => listening.told.find((one) => one.params.status === status);
    await until("the question", () => find("input_required"));
    const got = await ask("tasks/get", { taskId });
    const [key = ""] = Object.keys(got.result?.inputRequests as object);
    expect(JSON.stringify(got.result)).toContain("[legacy] Name 1?");
    const inputResponses = { [key]: { action: "accept", content: { name: "Ada" } } };
    await ask("tasks/update", { taskId, inputResponses });
    await until("the end", () => find("completed"));
    expect(find("completed")?.params).toMatchObject({ taskId, result: { content: [{}] } });
    const bob = await agentOf(gateway.base, "bob")("tasks/get", { taskId });
    expect(bob.error).toEqual({ code: -32602, message: "Unknown task" });
    listening.stop();
  });

  test("is a call like any other to everybody else, and shown as one", async () => {
    const { gateway, legacy } = await startWorld();
    const ask = agentOf(gateway.base, "ann", {});
    const called = await ask("tools/call", { name: "legacy__work", arguments: {} });
    expect(called.result).toMatchObject({ resultType: "complete", content: [{ text: "[]" }] });
    const listed = await ask("tools/list");
    expect(JSON.stringify(listed.result)).not.toContain("taskSupport");
    const agent = new Client(
      { name: "agent", version: "1" },
      { capabilities: { elicitation: {} } },
    );
    agent.setRequestHandler(ElicitRequestSchema, async () => ({
      action: "accept",
      content: { name: "Ada" },
    }));
    const headers = { Authorization: `Bearer ${clientToken("ann")}` };
    const url = new URL(`${gateway.base}/legacy/mcp`);
    await agent.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
    ends.push(() => agent.close());
    expect(agent.getServerCapabilities()?.tasks).toBeUndefined();
    const { tools } = await agent.listTools();
    expect(tools.find(({ name }) => name === "work")?.execution).toBeUndefined();
    const answer = await agent.callTool({ name: "work", arguments: { questions: 2 } });
    expect(JSON.stringify(answer.content)).toContain("Ada");
    const plain = { name: "plain", arguments: {}, task: { ttl: 1 } };
    await agent.callTool(plain);
    for (const method of ["tasks/get", "tasks/result", "tasks/cancel"]) {
      const asking = agent.request({ method, params: { taskId: "x" } } as never, ResultSchema);
      await expect(asking).rejects.toMatchObject({ code: -32601 });
    }
    const calls = legacy.behaviour.seen.filter((line) => line.startsWith("call:"));
    expect(calls).toEqual(["call:work:task", "call:work:task", "call:plain:plain"]);
  });
});

interface Told {
  readonly method: string;
  readonly params: Record<string, unknown>;
}

/** A listen of an agent of 2026-07-28, read as it comes. */
async function listen(base: string, taskIds: readonly string[], capabilities: object = extension) {
  const ending = new AbortController();
  const _meta = { ...modernMeta, "io.modelcontextprotocol/clientCapabilities": capabilities };
  const response = await modernPost({
    base,
    token: clientToken("ann"),
    method: "subscriptions/listen",
    params: { notifications: { taskIds }, _meta },
    signal: ending.signal,
  });
  const told: Told[] = [];
  void (async () => {
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk);
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const line = event.split("\n").find((one) => one.startsWith("data: {"));
        if (line !== undefined) told.push(JSON.parse(line.slice(6)));
      }
    }
  })().catch(() => {});
  return { told, stop: () => ending.abort() };
}
