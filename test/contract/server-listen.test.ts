/**
 * `ServerClient.listen` over every binding and era, against servers built on the official SDKs (issue 3; reference
 * 2.7, and the change rows of 4.2 and 4.3): who hears what, how often the server is asked, and what is made up for.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import type { ServerResponse } from "node:http";
import { systemClock } from "../../src/lib/clock.ts";
import { objectText } from "../../src/protocol/json-view.ts";
import { emptyFilter, type ListenFilter } from "../../src/protocol/listen-filter.ts";
import type { Listening, ServerChange, ServerClient } from "../../src/servers/client.ts";
import { ownRequest } from "../../src/servers/era.ts";
import { createServers } from "../../src/servers/pool.ts";
import type { ServerSpec, ServerTransport } from "../../src/servers/spec.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import {
  type FakeServer,
  startHttpV1,
  startHttpV2,
  startRaw,
  startSseV1,
  startWebSocket,
} from "../support/fake-servers/network.ts";

const stdioMain = new URL("../support/fake-servers/stdio-main.ts", import.meta.url).pathname;
const ends: (() => unknown)[] = [];

async function endAll(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}

interface Subject {
  readonly transport: ServerTransport;
  /** Ends the server and starts it again at the same place. */
  restart(): Promise<void>;
}

interface Combination {
  readonly name: string;
  readonly era: "legacy" | "modern";
  readonly start: () => Promise<Subject>;
}

const combinations: readonly Combination[] = [
  { name: "stdio, legacy", era: "legacy", start: async () => spawned("v1") },
  { name: "stdio, modern", era: "modern", start: async () => spawned("v2") },
  networked("streamable-http", "legacy", startHttpV1),
  networked("streamable-http", "modern", startHttpV2),
  networked("http-sse", "legacy", startSseV1),
  networked("websocket", "legacy", (port) => startWebSocket("v1", port)),
  networked("websocket", "modern", (port) => startWebSocket("v2", port)),
];

const listFlags = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
};
const lists: ListenFilter = { ...emptyFilter, ...listFlags };
const onUri = (...resourceSubscriptions: string[]): ListenFilter => ({
  ...emptyFilter,
  resourceSubscriptions,
});

describe.each(combinations)("listening over $name", ({ era, start }) => {
  // Most of it is waiting, each with a server of its own; what one opens stays until all are done.
  afterAll(endAll);

  test.concurrent("tells what was asked and nothing else", async () => {
    const { client } = connect((await start()).transport);
    const all = hear(client, { ...onUri("note:///1"), ...listFlags });
    const one = hear(client, { ...emptyFilter, promptsListChanged: true });
    expect(await all.listening.honoured).toEqual({ ...onUri("note:///1"), ...listFlags });
    expect(await one.listening.honoured).toEqual({ ...emptyFilter, promptsListChanged: true });
    await settled(client);
    for (const kind of ["tools", "prompts", "resources"]) await change(client, { kind });
    await change(client, { uri: "note:///1" });
    await change(client, { uri: "note:///2" });
    await until(() => all.heard.length >= 4 && one.heard.length >= 1);
    await quiet();
    expect(all.heard.map(({ kind }) => kind)).toEqual([
      "tools",
      "prompts",
      "resources",
      "resource",
    ]);
    expect(one.heard).toEqual([{ kind: "prompts" }]);
    const last = all.heard.at(-1);
    if (last?.kind !== "resource") throw new Error("no resource");
    expect(JSON.parse(objectText(last.params))).toEqual({ uri: "note:///1" });
  });

  test.concurrent("asks the server once for all who listen, and takes it back with the last", async () => {
    const { client } = connect((await start()).transport);
    const first = hear(client, onUri("note:///1"));
    await first.listening.honoured;
    const second = hear(client, onUri("note:///1"));
    expect(await second.listening.honoured).toEqual(onUri("note:///1"));
    await settled(client);
    await change(client, { uri: "note:///1" });
    await until(() => first.heard.length === 1 && second.heard.length === 1);
    first.listening.close();
    await change(client, { uri: "note:///1" });
    await until(() => second.heard.length === 2);
    expect(first.heard.length).toBe(1);
    second.listening.close();
    if (era === "modern") return;
    expect(count(await seen(client), "subscribe:note:///1")).toBe(1);
    await until(async () => count(await seen(client), "unsubscribe:note:///1") === 1);
  });

  test.concurrent("a wider filter misses nothing and tells nothing twice", async () => {
    const { client } = connect((await start()).transport);
    const first = hear(client, { ...emptyFilter, toolsListChanged: true });
    await first.listening.honoured;
    await settled(client);
    const others: Heard[] = [];
    for (let step = 0; step < 5; step += 1) {
      const before = first.heard.length;
      const other = hear(client, onUri(`note:///${step}`));
      others.push(other);
      await change(client, { kind: "tools" });
      await other.listening.honoured;
      await until(() => first.heard.length > before);
      await quiet();
      expect(first.heard.length).toBe(before + 1);
    }
    await change(client, { uri: "note:///3" });
    await until(() => others[3]?.heard.length === 1);
    expect(others.map(({ heard }) => heard.length)).toEqual([0, 0, 0, 1, 0]);
  });

  test.concurrent("makes up for what may have been missed while the server was away", async () => {
    const subject = await start();
    const { client, all } = connect(subject.transport);
    const listener = hear(client, { ...onUri("note:///1"), ...listFlags });
    await listener.listening.honoured;
    await settled(client);
    expect(listener.heard).toEqual([]);
    if (subject.transport.kind === "stdio") void callTool(client, "die");
    else await subject.restart();
    await until(() => listener.heard.length >= 4);
    expect(new Set(listener.heard.map(({ kind }) => kind))).toEqual(
      new Set(["tools", "prompts", "resources", "resource"] as const),
    );
    expect(all.map(({ kind }) => kind)).toContain("tools");
    await settled(client);
    await quiet();
    const before = listener.heard.length;
    await change(client, { kind: "prompts" });
    await until(() => listener.heard.length > before);
    expect(listener.heard.at(-1)).toEqual({ kind: "prompts" });
  });

  test.concurrent("a storm of notifications is told a few times", async () => {
    const { client } = connect((await start()).transport);
    const listener = hear(client, lists);
    await listener.listening.honoured;
    await settled(client);
    const startedMs = performance.now();
    await change(client, { kind: "tools", times: 3_000 });
    await until(() => listener.heard.length > 0);
    await quiet();
    const windows = Math.ceil((performance.now() - startedMs) / 50);
    expect(listener.heard.length).toBeLessThanOrEqual(windows);
    expect(listener.heard.length).toBeLessThan(150);
  });

  test.concurrent("a listen takes no place in flight and no call's log messages", async () => {
    const { client } = connect((await start()).transport, { maxInFlight: 1 });
    const listener = hear(client, lists);
    await listener.listening.honoured;
    const logged: unknown[] = [];
    const request = ownRequest("tools/call", '{"name":"logs","arguments":{}}');
    const asking = { ...request, envelope: { ...request.envelope, logLevel: "debug" } };
    const outcome = await client.call(asking, context, ({ params }) => logged.push(params));
    expect(outcome.kind).toBe("result");
    expect(logged.length).toBe(2);
  });

  test.concurrent("outlives the time limits of calls, and ends with the client", async () => {
    const limits = { callTimeoutMs: 2_000, connectTimeoutMs: 20_000 };
    const { client, close } = connect((await start()).transport, limits);
    const listener = hear(client, { ...emptyFilter, toolsListChanged: true });
    await listener.listening.honoured;
    await settled(client);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(listener.heard).toEqual([]);
    await change(client, { kind: "tools" });
    await until(() => listener.heard.length === 1);
    await quiet();
    expect(listener.heard.length).toBe(1);
    await close();
    expect(await hear(client, lists).listening.honoured).toEqual(emptyFilter);
  });
});

describe("what a legacy server honours", () => {
  afterEach(endAll);

  test("URIs it refuses are not honoured, the others are", async () => {
    const { client } = connect(spawned("v1").transport);
    const { listening } = hear(client, onUri("note:///1", "note:///refused"));
    expect(await listening.honoured).toEqual(onUri("note:///1"));
  });

  test("parts of a subscribed resource are told, its neighbours are not", async () => {
    const { client } = connect(spawned("v1").transport);
    const whole = hear(client, onUri("note:///1"));
    const other = hear(client, onUri("note:///10"));
    await Promise.all([whole.listening.honoured, other.listening.honoured]);
    await change(client, { uri: "note:///1/part" });
    await change(client, { uri: "note:///10" });
    await until(() => whole.heard.length === 1 && other.heard.length === 1);
    await quiet();
    expect(whole.heard.map(uriOf)).toEqual(["note:///1/part"]);
    expect(other.heard.map(uriOf)).toEqual(["note:///10"]);
  });
});

describe("modern servers that listen in their own way", () => {
  afterEach(endAll);

  test("one that refuses honours nothing and is not asked again", async () => {
    const fake = await startListening((_, id, response) => {
      json(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }, 404);
    });
    const { client } = connect(fake.transport);
    expect(await hear(client, lists).listening.honoured).toEqual(emptyFilter);
    expect(await hear(client, lists).listening.honoured).toEqual(emptyFilter);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(fake.asked.length).toBe(1);
  });

  test("one that does not take one listener's filter still tells the others", async () => {
    const open = new Map<number, ServerResponse>();
    const fake = await startListening((filter, id, response) => {
      if (JSON.stringify(filter).includes("odd")) {
        json(response, { jsonrpc: "2.0", id, error: { code: -32602, message: "odd" } });
        return;
      }
      open.set(id, response);
      response.on("close", () => open.delete(id));
      acknowledge(response, id, filter);
    });
    const tell = () => {
      const text = event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
      for (const response of open.values()) response.write(text);
    };
    const { client } = connect(fake.transport);
    const first = hear(client, lists);
    await first.listening.honoured;
    const odd = hear(client, { ...onUri("odd:1"), toolsListChanged: true });
    expect(await odd.listening.honoured).toEqual({ ...emptyFilter, toolsListChanged: true });
    tell();
    await until(() => first.heard.length === 1 && odd.heard.length === 1);
    // Asked anew, all at once, after an end.
    for (const response of open.values()) response.destroy();
    await until(() => first.heard.length === 4 && odd.heard.length === 2);
    tell();
    await until(() => first.heard.length === 5 && odd.heard.length === 3);
  });

  test("what the acknowledgement leaves out is not honoured", async () => {
    const fake = await startListening((_, id, response) => {
      acknowledge(response, id, { toolsListChanged: true });
    });
    const { client } = connect(fake.transport);
    const honoured = await hear(client, lists).listening.honoured;
    expect(honoured).toEqual({ ...emptyFilter, toolsListChanged: true });
  });

  test("the union of the filters is asked, the wider listen before the old one ends", async () => {
    const open: number[] = [];
    const counts: number[] = [];
    const fake = await startListening((filter, id, response) => {
      open.push(id);
      counts.push(open.length);
      response.on("close", () => open.splice(open.indexOf(id), 1));
      acknowledge(response, id, filter);
    });
    const { client } = connect(fake.transport);
    await hear(client, { ...emptyFilter, toolsListChanged: true }).listening.honoured;
    await hear(client, onUri("a:b")).listening.honoured;
    await hear(client, onUri("a:b")).listening.honoured;
    expect(fake.asked).toEqual([
      { toolsListChanged: true },
      { toolsListChanged: true, resourceSubscriptions: ["a:b"] },
    ]);
    expect(counts).toEqual([1, 2]);
    await until(() => open.length === 1);
  });

  const endings: readonly [string, (response: ServerResponse, id: number) => void][] = [
    [
      "a result",
      (response, id) => {
        const result = { resultType: "complete", _meta: { [subscription]: id } };
        response.end(event({ jsonrpc: "2.0", id, result }));
      },
    ],
    [
      "notifications/cancelled",
      (response, id) => {
        const params = { requestId: id };
        response.write(event({ jsonrpc: "2.0", method: "notifications/cancelled", params }));
      },
    ],
    ["a bare end", (response) => response.end()],
    ["a cut connection", (response) => response.destroy()],
  ];
  test.each(endings)("a listen that ends by %s is asked again", async (_, end) => {
    const fake = await startListening((filter, id, response) => {
      acknowledge(response, id, filter);
      if (fake.asked.length === 1) setTimeout(() => end(response, id), 50);
    });
    const { client } = connect(fake.transport);
    const listener = hear(client, { ...emptyFilter, toolsListChanged: true });
    await until(() => fake.asked.length === 2 && listener.heard.length === 1);
    await quiet();
    expect(listener.heard).toEqual([{ kind: "tools" }]);
    expect(fake.asked.length).toBe(2);
  });

  test("a server that ends each listen at once is asked ever less often", async () => {
    const fake = await startListening((filter, id, response) => {
      acknowledge(response, id, filter);
      response.end();
    });
    const { client } = connect(fake.transport);
    await hear(client, lists).listening.honoured;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await until(() => fake.asked.length > 1);
    expect(fake.asked.length).toBeLessThan(8);
  });

  test("a stream longer than an answer may be goes on; an event longer does not", async () => {
    const long = "x".repeat(5_000);
    let tellLonger = () => {};
    const fake = await startListening((filter, id, response) => {
      acknowledge(response, id, filter);
      if (fake.asked.length > 1) return;
      const tell = (uri: string) => {
        const params = { uri, pad: long, _meta: { [subscription]: id } };
        const method = "notifications/resources/updated";
        response.write(event({ jsonrpc: "2.0", method, params }));
      };
      for (let step = 0; step < 10; step += 1) tell(`a:${step}`);
      tellLonger = () => tell(`a:${long.repeat(5)}`);
    });
    const { client } = connect(fake.transport, { responseBytesMax: 20_000 });
    const uris = Array.from({ length: 10 }, (_, step) => `a:${step}`);
    const listener = hear(client, onUri(...uris));
    await until(() => listener.heard.length === 10);
    expect(fake.asked.length).toBe(1);
    tellLonger();
    await until(() => fake.asked.length === 2);
  });

  test("what listeners of one server may want together is bounded", async () => {
    const fake = await startListening((filter, id, response) => acknowledge(response, id, filter));
    const { client } = connect(fake.transport);
    const uris = Array.from({ length: 10_100 }, (_, at) => `a:${at}`);
    const { resourceSubscriptions } = await hear(client, onUri(...uris)).listening.honoured;
    expect(resourceSubscriptions.length).toBe(10_000);
    expect(await hear(client, onUri("b:1")).listening.honoured).toEqual(emptyFilter);
    expect(await hear(client, onUri("a:1")).listening.honoured).toEqual(onUri("a:1"));
  });

  test("a storm of different parts is told as one change of the whole", async () => {
    const fake = await startListening((filter, id, response) => {
      acknowledge(response, id, filter);
      const method = "notifications/resources/updated";
      const parts = Array.from({ length: 5_000 }, (_, at) =>
        event({ jsonrpc: "2.0", method, params: { uri: `f:///a/${at}` } }),
      );
      setTimeout(() => response.write(parts.join("")), 20);
    });
    const { client } = connect(fake.transport);
    const { heard } = hear(client, onUri("f:///a"));
    await until(() => heard.some((change) => uriOf(change) === "f:///a"));
    await quiet();
    // What comes in one window at most, for each window the storm lasted.
    expect(heard.length).toBeLessThan(4_000);
  });

  test("nothing is asked while nobody listens, and a short pause is no end", async () => {
    let closed = 0;
    const fake = await startListening((filter, id, response) => {
      response.on("close", () => {
        closed += 1;
      });
      acknowledge(response, id, filter);
    });
    const { client } = connect(fake.transport);
    await client.facts(new AbortController().signal);
    expect(fake.asked.length).toBe(0);
    for (let step = 0; step < 3; step += 1) {
      const { listening } = hear(client, lists);
      await listening.honoured;
      listening.close();
      await quiet();
    }
    expect(fake.asked.length).toBe(1);
    expect(closed).toBe(0);
    await until(() => closed === 1);
  });
});

describe("a server that cannot be reached", () => {
  afterEach(endAll);

  test("honours what was asked, and its return is told as a change", async () => {
    const first = await startHttpV2();
    await first.stop();
    const transport = { kind: "streamable-http", url: first.url, headers: {} } as const;
    const { client } = connect(transport, { connectTimeoutMs: 500 });
    const listener = hear(client, lists);
    expect(await listener.listening.honoured).toEqual(lists);
    const soon = Promise.race([hear(client, lists).listening.honoured, Bun.sleep(250)]);
    expect(await soon).toEqual(lists);
    const second = await startHttpV2(first.port);
    ends.push(second.stop);
    await until(() => listener.heard.length === 3);
    expect(listener.heard).toEqual([{ kind: "tools" }, { kind: "prompts" }, { kind: "resources" }]);
  });

  test("closing before anything is known settles what is honoured, and nothing is told", async () => {
    const fake = await startListening(() => {});
    const { client } = connect(fake.transport);
    const { listening, heard } = hear(client, lists);
    listening.close();
    expect(await listening.honoured).toEqual(emptyFilter);
    expect(heard).toEqual([]);
  });
});

describe("beside those who listen", () => {
  afterEach(endAll);

  test("the pool hears what a connection in use tells, and of its replacement", async () => {
    const { client, all } = connect(spawned("v1").transport);
    await change(client, { kind: "tools" });
    await until(() => all.length === 1);
    expect(all).toEqual([{ kind: "tools" }]);
    await callTool(client, "die");
    await until(async () => (await callTool(client, "echo", { text: "x" })).kind === "result");
    await until(() => all.length === 4);
    expect(all.slice(1).map(({ kind }) => kind)).toEqual(["tools", "prompts", "resources"]);
  });

  test("a server that is replaced ends what followed it, and tells nothing more", async () => {
    let closed = 0;
    const responses: ServerResponse[] = [];
    const fake = await startListening((filter, id, response) => {
      response.on("close", () => {
        closed += 1;
      });
      acknowledge(response, id, filter);
      responses.push(response);
    });
    const { client, servers } = connect(fake.transport, { callTimeoutMs: 1_000 });
    const listener = hear(client, lists);
    await listener.listening.honoured;
    // A call that goes on holds the drain open, and must not hold the listen.
    void callTool(client, "unanswered");
    responses[0]?.write(event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    servers.apply(new Map());
    await until(() => closed === 1);
    await quiet();
    expect(listener.heard).toEqual([]);
    expect(fake.asked.length).toBe(1);
  });

  test("tasks are asked for where the server has them, declared with that very request", async () => {
    const extensions = { "io.modelcontextprotocol/tasks": {} };
    const fake = await startListening((filter, id, response) => acknowledge(response, id, filter), {
      extensions,
    });
    const { client } = connect(fake.transport);
    const wanted = { ...emptyFilter, taskIds: ["a"] };
    const alone = hear(client, wanted);
    expect(await alone.listening.honoured).toEqual(wanted);
    expect(fake.asked).toEqual([{ taskIds: ["a"] }]);
    expect(fake.declared).toEqual([{ extensions }]);
  });

  test("tasks are not asked of a server without them, and cost nobody else its lists", async () => {
    const fake = await startListening((filter, id, response) => acknowledge(response, id, filter));
    const { client } = connect(fake.transport);
    const alone = hear(client, { ...emptyFilter, taskIds: ["a"] });
    expect(await alone.listening.honoured).toEqual(emptyFilter);
    const both = hear(client, { ...lists, taskIds: ["a"] });
    expect(await both.listening.honoured).toEqual(lists);
    expect(fake.asked).toEqual([listFlags]);
    expect(fake.declared).toEqual([{}]);
  });
});

const subscription = "io.modelcontextprotocol/subscriptionId";

interface Heard {
  readonly listening: Listening;
  readonly heard: ServerChange[];
}

function hear(client: ServerClient, filter: ListenFilter): Heard {
  const heard: ServerChange[] = [];
  return { listening: client.listen(filter, (change) => heard.push(change)), heard };
}

function connect(transport: ServerTransport, more: Partial<ServerSpec> = {}) {
  const spec: ServerSpec = {
    name: "fake",
    description: "",
    transport,
    era: "auto",
    enabled: true,
    connectTimeoutMs: 20_000,
    callTimeoutMs: 20_000,
    responseBytesMax: 1_000_000,
    maxInFlight: 8,
    listTtlMs: 0,
    listsPublic: false,
    toolSettings: [],
    allowPrivateNetwork: true,
    dataClass: "INTERNAL",
    ...more,
  };
  const all: ServerChange[] = [];
  const servers = createServers({
    specs: new Map([["fake", spec]]),
    inheritedEnvironment: { PATH: "/usr/bin:/bin" },
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    onChange: (_, change) => all.push(change),
  });
  ends.push(servers.close);
  const client = servers.get("fake");
  if (client === undefined) throw new Error("no client");
  return { client, all, servers, close: servers.close };
}

function spawned(kind: string): Subject {
  const transport: ServerTransport = {
    kind: "stdio",
    command: process.execPath,
    args: [stdioMain, kind],
    environment: {},
    workingDirectory: undefined,
  };
  return { transport, restart: async () => {} };
}

function networked(
  kind: "streamable-http" | "http-sse" | "websocket",
  era: "legacy" | "modern",
  startServer: (port?: number) => Promise<FakeServer>,
): Combination {
  return {
    name: `${kind}, ${era}`,
    era,
    async start() {
      let server = await startServer();
      ends.push(() => server.stop());
      return {
        transport: { kind, url: server.url, headers: {} },
        async restart() {
          await server.stop();
          server = await startServer(server.port);
        },
      };
    },
  };
}

const context = { signal: new AbortController().signal, timeoutMs: 20_000, headers: {} };

function callTool(client: ServerClient, name: string, args: object = {}) {
  const params = JSON.stringify({ name, arguments: args });
  return client.call(ownRequest("tools/call", params), context, () => {});
}

async function change(client: ServerClient, args: object): Promise<void> {
  const outcome = await callTool(client, "change", args);
  if (outcome.kind !== "result") throw new Error(JSON.stringify(outcome));
}

async function seen(client: ServerClient): Promise<readonly string[]> {
  const outcome = await callTool(client, "seen");
  if (outcome.kind !== "result") throw new Error(JSON.stringify(outcome));
  return JSON.parse(objectText(outcome.result)).content[0].text.split(",");
}

function count(all: readonly string[], one: string): number {
  return all.filter((entry) => entry === one).length;
}

/** A legacy server's session stream is opened beside the calls: waits until a change has come through. */
async function settled(client: ServerClient): Promise<void> {
  const { heard, listening } = hear(client, onUri("note:///probe"));
  await until(async () => {
    const outcome = await callTool(client, "change", { uri: "note:///probe" });
    await quiet();
    return outcome.kind === "result" && heard.length > 0;
  });
  listening.close();
}

/** Longer than changes are gathered. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 150));
}

function uriOf(change: ServerChange): string | undefined {
  return change.kind === "resource" ? change.uri : undefined;
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error("not in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A modern server that discovers like any other and listens in its own way. */
async function startListening(
  listen: (filter: object, id: number, response: ServerResponse) => void,
  capabilities: object = {},
) {
  const asked: object[] = [];
  const declared: object[] = [];
  const fake = await startRaw((_, response, body) => {
    const { id, method, params } = JSON.parse(body);
    const discovered = { supportedVersions: ["2026-07-28"], capabilities };
    if (method === "server/discover") {
      json(response, { jsonrpc: "2.0", id, result: { ...discovered, resultType: "complete" } });
    } else if (method === "subscriptions/listen") {
      asked.push(params.notifications);
      declared.push(params._meta["io.modelcontextprotocol/clientCapabilities"]);
      listen(params.notifications, id, response);
    }
  });
  ends.push(fake.stop);
  const transport: ServerTransport = { kind: "streamable-http", url: fake.url, headers: {} };
  return { transport, asked, declared };
}

function acknowledge(response: ServerResponse, id: number, notifications: object): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const params = { notifications, _meta: { [subscription]: id } };
  const method = "notifications/subscriptions/acknowledged";
  response.write(event({ jsonrpc: "2.0", method, params }));
}

function event(message: object): string {
  return `data: ${JSON.stringify(message)}\n\n`;
}

function json(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
