/**
 * Tools of legacy servers that run as tasks alone, on every binding, against the official SDK's task support: driven to
 * their end for agents that know no tasks, handed on as tasks of the extension to those that do (reference 4.4).
 */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../src/protocol/json-view.ts";
import type { Outcome, RelayedMessage } from "../../src/protocol/messages.ts";
import { tasksExtension } from "../../src/protocol/tasks.ts";
import type { ServerChange, ServerClient } from "../../src/servers/client.ts";
import type { ServerTransport } from "../../src/servers/spec.ts";
import {
  callTool,
  connectServer,
  everyCapability,
  needAsked,
  needText,
} from "../support/connected-server.ts";
import { until } from "../support/deadline.ts";
import {
  type FakeServer,
  startHttpV1,
  startRaw,
  startSseV1,
  startWebSocket,
} from "../support/fake-servers/network.ts";
import { createTaskingServer } from "../support/fake-servers/tasking.ts";

const extension = { extensions: { [tasksExtension]: {} } };
const withTasks = JSON.stringify(extension);
const withForms = JSON.stringify({ ...extension, elicitation: { form: {} } });
const accepted = { action: "accept", content: { name: "ü" } };

interface Subject extends AsyncDisposable {
  readonly transport: ServerTransport;
  readonly fake: FakeServer | undefined;
}

const bindings: readonly { readonly name: string; readonly start: () => Promise<Subject> }[] = [
  { name: "stdio", start: async () => stdio() },
  network("streamable-http", () => startHttpV1(0, createTaskingServer)),
  network("http-sse", () => startSseV1(0, createTaskingServer)),
  network("websocket", () => startWebSocket("v1", 0, createTaskingServer)),
];

describe.each(bindings)("tasks over $name", ({ start }) => {
  test("an agent without the extension gets the result, whatever it can be asked", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    for (const capabilities of ["{}", everyCapability]) {
      const outcome = await callTool(server.client, "work", { delayMs: 30 }, { capabilities });
      expect(parse(outcome)).toEqual({ content: [{ type: "text", text: "[]" }] });
      expect(await seen(server.client, capabilities)).toContain("call:work:task");
    }
  });

  test("a tool's own error is its result; a task that broke is an error", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const call = (end: string) => callTool(server.client, "work", { end }, { capabilities: "{}" });
    expect(parse(await call("tool-error"))).toMatchObject({ isError: true });
    expect(await call("error")).toMatchObject({ kind: "error" });
  });

  test("questions of a driven task park the call", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const args = { questions: 2 };
    let asked = needAsked(await callTool(server.client, "work", args));
    const keys: string[] = [];
    for (const last of [false, true]) {
      const [key = "", ...others] = Object.keys(asked.inputRequests);
      expect(others).toEqual([]);
      keys.push(key);
      expect(asked.inputRequests[key]?.params?._meta).toBeUndefined();
      const outcome = await callTool(server.client, "work", args, {
        requestState: asked.requestState,
        inputResponses: { [key]: accepted },
      });
      if (!last) asked = needAsked(outcome);
      else expect(JSON.parse(needText(outcome))).toMatchObject([accepted, accepted]);
    }
    expect(keys[0]).not.toBe(keys[1]);
  });

  test("a driven task whose agent leaves is cancelled at the server", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const leaving = new AbortController();
    const calling = callTool(server.client, "work", { end: "never" }, { signal: leaving.signal });
    await until("the task is waited for", async () =>
      (await seen(server.client, everyCapability)).includes("asked for"),
    );
    leaving.abort();
    expect(await calling).toMatchObject({ kind: "fault", fault: { name: "cancelled" } });
    await until("the cancellation", async () =>
      (await seen(server.client, everyCapability)).includes("cancelled"),
    );
    expect(server.servers.status("fake")?.inFlight).toBe(0);
  });

  test("optional and plain tools, and a `task` param of the agent's own, make no task", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    for (const name of ["maybe", "plain"]) {
      const request = callRequest(name, { task: { ttl: 5 } });
      expect(needText(await server.client.call(request, context(), () => {}))).toBe(name);
    }
    expect(await seen(server.client)).toEqual(["call:maybe:plain", "call:plain:plain"]);
  });

  test("an agent with the extension gets a task, and asks for it to the end", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const created = parse(
      await callTool(server.client, "work", { delayMs: 100 }, { capabilities: withTasks }),
    );
    // Bun puts the matchers into what it compares.
    const taskId = String(created.taskId);
    expect(created).toMatchObject({
      resultType: "task",
      status: "working",
      ttlMs: 3_600_000,
      pollIntervalMs: 20,
      taskId: expect.any(String),
      createdAt: expect.any(String),
      lastUpdatedAt: expect.any(String),
    });
    expect(created).not.toHaveProperty("task");
    expect(created).not.toHaveProperty("ttl");
    const done = await poll(server.client, taskId, "completed");
    expect(done).toMatchObject({
      resultType: "complete",
      taskId,
      ttlMs: 3_600_000,
      result: { content: [{ type: "text", text: "[]" }] },
    });
    expect(JSON.stringify(done)).not.toContain("related-task");
    expect(parse(await ask(server.client, "tasks/cancel", { taskId }))).toEqual({});
  });

  test("failed means a JSON-RPC error alone", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const begin = async (end: string) =>
      String(
        parse(await callTool(server.client, "work", { end }, { capabilities: withTasks })).taskId,
      );
    const tool = await poll(server.client, await begin("tool-error"), "completed");
    expect(tool.result).toMatchObject({ isError: true });
    const broken = await poll(server.client, await begin("error"), "failed");
    expect(broken).toMatchObject({ error: { code: expect.any(Number) } });
    expect(broken).not.toHaveProperty("result");
  });

  test("questions of a task are shown under keys of their own and answered by an update", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const { client } = server;
    const created = await callTool(client, "work", { questions: 2 }, { capabilities: withForms });
    const taskId = String(parse(created).taskId);
    const keys = new Set<string>();
    for (let round = 1; round <= 2; round += 1) {
      const asking = await pollQuestion(client, taskId, `Name ${round}?`);
      const [key = ""] = Object.keys(asking.inputRequests as object);
      expect(keys.has(key)).toBe(false);
      keys.add(key);
      const update = { taskId, inputResponses: { [key]: accepted, unknown: accepted } };
      expect(parse(await ask(client, "tasks/update", update, withForms))).toEqual({});
    }
    const done = await poll(client, taskId, "completed");
    const { content } = done.result as { content: { text: string }[] };
    expect(JSON.parse(content[0]?.text ?? "")).toMatchObject([accepted, accepted]);
  });

  test("a task is cancelled; one that nobody knows is an error", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const { client } = server;
    const created = await callTool(client, "work", { end: "never" }, { capabilities: withTasks });
    const taskId = String(parse(created).taskId);
    expect(parse(await ask(client, "tasks/cancel", { taskId }))).toEqual({});
    expect(await poll(client, taskId, "cancelled")).not.toHaveProperty("result");
    for (const method of ["tasks/get", "tasks/cancel", "tasks/update"]) {
      const unknown = await ask(client, method, { taskId: "nobody", inputResponses: {} });
      expect(unknown).toMatchObject({ kind: "error", error: { code: -32602 } });
    }
  });

  test("whoever listens to a task is told of its changes in full", async () => {
    await using subject = await start();
    await using server = await listed(subject);
    const { client } = server;
    const args = { delayMs: 200, questions: 1 };
    const created = await callTool(client, "work", args, { capabilities: withForms });
    const taskId = String(parse(created).taskId);
    const told: ServerChange[] = [];
    const filter = { ...noLists, taskIds: [taskId] };
    const listening = client.listen(filter, (change) => void told.push(change));
    expect((await listening.honoured).taskIds).toEqual([taskId]);
    const statuses = () => told.map((change) => ("params" in change ? json(change.params) : {}));
    await until("a change", () => statuses().some(({ status }) => status === "input_required"));
    const asking = statuses().find(({ status }) => status === "input_required");
    const [key = ""] = Object.keys(asking?.inputRequests as object);
    await ask(client, "tasks/update", { taskId, inputResponses: { [key]: accepted } }, withForms);
    await until("a change", () => statuses().some(({ status }) => status === "completed"));
    const done = statuses().find(({ status }) => status === "completed");
    expect(done).toMatchObject({ taskId, result: { content: [{ type: "text" }] } });
    expect(done).not.toHaveProperty("resultType");
    listening.close();
  });
});

describe("tasks of legacy servers", () => {
  test("progress of a driven task keeps the agent's token, past the task's creation", async () => {
    await using subject = stdio();
    await using server = await listed(subject);
    const relayed: RelayedMessage[] = [];
    const more = { progressToken: "p", relayed, capabilities: "{}" };
    await callTool(server.client, "work", { delayMs: 50, steps: 2 }, more);
    expect(relayed.map(({ params }) => json(params))).toEqual([
      { progressToken: "p", progress: 1 },
      { progressToken: "p", progress: 2 },
    ]);
  });

  test("the server counts as having the extension, and another does not for claiming it", async () => {
    await using subject = stdio();
    await using server = await listed(subject);
    const { capabilitiesText } = await server.client.facts(AbortSignal.timeout(30_000));
    expect(JSON.parse(capabilitiesText).extensions).toEqual({ [tasksExtension]: {} });
  });

  test("no room: the task is not begun; one that is over makes room, and is still asked for", async () => {
    await using subject = stdio();
    await using server = connectServer(
      subject.transport,
      {},
      { tasksMax: 2, tasksPerPrincipalMax: 1 },
    );
    await server.servers.tools("fake", { refresh: true, signal: AbortSignal.timeout(30_000) });
    const begin = (principalId: string) =>
      callTool(server.client, "work", { end: "never" }, { capabilities: withTasks, principalId });
    const first = await begin("alice");
    const full = { kind: "fault", fault: { name: "too-many-in-flight", reason: "tasks-full" } };
    expect(await begin("alice")).toMatchObject(full);
    expect(await begin("bob")).toMatchObject({ kind: "result" });
    expect(await begin("carol")).toMatchObject(full);
    expect(await seen(server.client)).toEqual(["call:work:task", "call:work:task"]);
    const taskId = String(parse(first).taskId);
    await ask(server.client, "tasks/cancel", { taskId });
    expect(await begin("alice")).toMatchObject({ kind: "result" });
    expect(await poll(server.client, taskId, "cancelled")).toMatchObject({ taskId });
  });

  test("a call that became a task is never made again, however its result is lost", async () => {
    for (const [status, error] of [
      [404, { code: -32001, message: "Session not found" }],
      [400, undefined],
      [500, undefined],
    ] as const) {
      const calls: string[] = [];
      const fake = await startRaw((_request, response, body) => {
        const { id, method } = JSON.parse(body || "{}");
        if (id === undefined) return void response.writeHead(202).end();
        calls.push(method);
        const json = { "content-type": "application/json" };
        if (method === "tasks/result") {
          response.writeHead(status, json);
          return void response.end(error && JSON.stringify({ jsonrpc: "2.0", id, error }));
        }
        const result = rawAnswers[method];
        const answer = result ? { result } : { error: { code: -32601, message: "no" } };
        response.writeHead(200, json).end(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
      });
      await using _stop = { [Symbol.asyncDispose]: fake.stop };
      const transport = { kind: "streamable-http", url: fake.url, headers: {} } as const;
      await using server = connectServer(transport);
      await server.servers.tools("fake", { refresh: true, signal: AbortSignal.timeout(30_000) });
      const outcome = await callTool(server.client, "work", {}, { capabilities: "{}" });
      expect(outcome.kind).toBe("fault");
      expect(calls.filter((method) => method === "tools/call")).toHaveLength(1);
    }
  });

  test("a call the server carried out after all gives its place back", async () => {
    await using subject = stdio();
    await using server = connectServer(subject.transport, {}, { tasksMax: 1 });
    await server.servers.tools("fake", { refresh: true, signal: AbortSignal.timeout(30_000) });
    const one = await callTool(server.client, "work", {}, { capabilities: withTasks });
    expect(parse(one).resultType).toBe("task");
  });
});

const rawAnswers: Readonly<Record<string, object>> = {
  initialize: {
    protocolVersion: "2025-11-25",
    capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } },
    serverInfo: { name: "raw", version: "1" },
  },
  "tools/list": {
    tools: [
      { name: "work", inputSchema: { type: "object" }, execution: { taskSupport: "required" } },
    ],
  },
  "tools/call": {
    task: { taskId: "t", status: "working", createdAt: "c", lastUpdatedAt: "l", ttl: null },
  },
  "tasks/cancel": {},
};

const noLists = {
  toolsListChanged: false,
  promptsListChanged: false,
  resourcesListChanged: false,
  resourceSubscriptions: [],
};

function stdio(): Subject {
  const main = `${import.meta.dir}/../support/fake-servers/stdio-main.ts`;
  const transport = {
    kind: "stdio",
    command: process.execPath,
    args: [main, "tasks"],
    environment: {},
    workingDirectory: undefined,
  } as const;
  return { transport, fake: undefined, [Symbol.asyncDispose]: async () => {} };
}

function network(
  kind: "streamable-http" | "http-sse" | "websocket",
  startFake: () => Promise<FakeServer>,
) {
  return {
    name: kind,
    async start(): Promise<Subject> {
      const fake = await startFake();
      const transport = { kind, url: fake.url, headers: {} };
      return { transport, fake, [Symbol.asyncDispose]: () => fake.stop() };
    },
  };
}

/** As route does before each call: the tools are known, and with them which run as tasks alone. */
async function listed({ transport }: Subject) {
  const server = connectServer(transport);
  const asked = { refresh: true, signal: AbortSignal.timeout(30_000) };
  for (const clientCapabilitiesText of ["{}", withForms, everyCapability]) {
    await server.servers.tools("fake", { ...asked, clientCapabilitiesText });
  }
  return server;
}

function callRequest(name: string, more: object) {
  return request("tools/call", { name, arguments: {}, ...more }, "{}");
}

function request(method: string, params: object, capabilities: string) {
  return {
    kind: "request" as const,
    idText: "1",
    method,
    params: readObject(JSON.stringify(params)),
    envelope: {
      revision: "2026-07-28" as const,
      clientInfoText: undefined,
      clientCapabilitiesText: capabilities,
      logLevel: undefined,
      progressTokenText: undefined,
    },
  };
}

function context() {
  return {
    signal: new AbortController().signal,
    timeoutMs: 30_000,
    headers: {},
    principalId: "alice",
  };
}

function ask(client: ServerClient, method: string, params: object, capabilities = withTasks) {
  return client.call(request(method, params, capabilities), context(), () => {});
}

function json(object: Parameters<typeof objectText>[0]): Record<string, unknown> {
  return JSON.parse(objectText(object));
}

function parse(outcome: Outcome): Record<string, unknown> {
  if (outcome.kind !== "result") throw new Error(JSON.stringify(outcome));
  return json(outcome.result);
}

async function poll(client: ServerClient, taskId: string, status: string) {
  let detail: Record<string, unknown> = {};
  await until("the status", async () => {
    detail = parse(await ask(client, "tasks/get", { taskId }, withForms));
    return detail.status === status;
  });
  return detail;
}

async function pollQuestion(client: ServerClient, taskId: string, message: string) {
  let detail: Record<string, unknown> = {};
  await until("the status", async () => {
    detail = await poll(client, taskId, "input_required");
    return JSON.stringify(detail.inputRequests).includes(message);
  });
  return detail;
}

async function seen(client: ServerClient, capabilities = "{}"): Promise<readonly string[]> {
  const outcome = await callTool(client, "seen", {}, { capabilities });
  return needText(outcome)
    .split("\n")
    .filter((line) => line !== "");
}
