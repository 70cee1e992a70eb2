/**
 * One suite for `ServerClient`, run over every binding and era against servers built on the official SDKs, in this
 * process on loopback ports or as child processes.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/lib/clock.ts";
import { readObject } from "../../src/protocol/json-view.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../src/protocol/messages.ts";
import type { ServerClient, Servers } from "../../src/servers/client.ts";
import type { ServersLimits } from "../../src/servers/limits.ts";
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
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Subject {
  readonly transport: ServerTransport;
  /** Ends the server and starts it again at the same place; undefined where the gateway itself starts it. */
  restart?(): Promise<void>;
}

interface Combination {
  readonly name: string;
  readonly era: "legacy" | "modern";
  readonly start: () => Promise<Subject>;
}

const combinations: readonly Combination[] = [
  { name: "stdio, legacy", era: "legacy", start: async () => ({ transport: stdio("v1") }) },
  { name: "stdio, modern", era: "modern", start: async () => ({ transport: stdio("v2") }) },
  networked("streamable-http", "legacy", startHttpV1),
  networked("streamable-http", "modern", startHttpV2),
  networked("http-sse", "legacy", startSseV1),
  networked("websocket", "legacy", (port) => startWebSocket("v1", port)),
  networked("websocket", "modern", (port) => startWebSocket("v2", port)),
];

describe.each(combinations)("server client over $name", ({ era, start }) => {
  test("finds the era, says what the server is, lists and calls", async () => {
    const { client, servers } = connect((await start()).transport);
    const facts = await client.facts(new AbortController().signal);
    expect(facts.era).toBe(era);
    expect(JSON.parse(facts.capabilitiesText)).toHaveProperty("tools");
    const tools = await servers.tools("fake", { refresh: false, signal: never });
    expect([...tools.keys()]).toContain("echo");
    const args = '{"text":"h\u00e9 \\"q\\" \\u0041"}';
    expect(textOf(await client.call(toolCall("echo", args), context(), ignore))).toBe('hé "q" A');
    expect(servers.status("fake")).toMatchObject({ state: "ready", era, inFlight: 0 });
  });

  test("relays progress in order, under the agent's own token, before the result", async () => {
    const { client } = connect((await start()).transport);
    const relayed: RelayedMessage[] = [];
    let isDone = false;
    const outcome = await client.call(toolCall("steps", "{}", '"tok"'), context(), (message) => {
      expect(isDone).toBe(false);
      relayed.push(message);
    });
    isDone = true;
    expect(textOf(outcome)).toBe("done");
    expect(relayed.map(({ params }) => JSON.parse(paramsText(params)))).toEqual(
      [1, 2, 3].map((progress) => ({ progressToken: "tok", progress, total: 3 })),
    );
  });

  test("relays log messages from the level this call asked for, and none unasked", async () => {
    const { client } = connect((await start()).transport);
    for (const [logLevel, expected] of [
      ["debug", ["fine", "coarse"]],
      ["error", ["coarse"]],
      [undefined, []],
    ] as const) {
      const relayed: unknown[] = [];
      const request = toolCall("logs", "{}");
      const asking = { ...request, envelope: { ...request.envelope, logLevel } };
      const outcome = await client.call(asking, context(), ({ params }) => {
        relayed.push(JSON.parse(paramsText(params)).data);
      });
      expect(textOf(outcome)).toBe("logged");
      expect(relayed).toEqual([...expected]);
    }
  });

  test("brings a server's error in-band", async () => {
    const { client } = connect((await start()).transport);
    const outcome = await client.call(toolCall("nothing", "{}"), context(), ignore);
    expect(outcome).toMatchObject({ kind: "error", error: { code: -32602 } });
  });

  test("tells the server of a cancellation", async () => {
    const { client } = connect((await start()).transport);
    const abort = new AbortController();
    const call = client.call(toolCall("wait", "{}"), context(abort.signal), ignore);
    await until(async () => (await seen(client)).includes("call:wait"));
    abort.abort();
    expect(await call).toMatchObject({ kind: "fault", fault: { name: "cancelled" } });
    await until(async () => (await seen(client)).includes("cancelled"));
  });

  test("UP-16 gives up after the call's time limit and tells the server", async () => {
    const { client } = connect((await start()).transport);
    // Its session is open: the time is the call's own.
    await untilEcho(client);
    const late = await client.call(toolCall("wait", "{}"), { ...context(), timeoutMs: 50 }, ignore);
    expect(late).toMatchObject({ kind: "fault", fault: { name: "upstream-timeout" } });
    await until(async () => (await seen(client)).includes("cancelled"));
  });

  test("UP-12 refuses an answer over the size limit and lives on", async () => {
    const { client } = connect((await start()).transport, { responseBytesMax: 20_000 });
    const huge = await client.call(toolCall("huge", '{"bytes":100000}'), context(), ignore);
    expect(huge).toMatchObject({ kind: "fault", fault: { name: "upstream-invalid" } });
    await untilEcho(client);
  });

  test("UP-14 reports a server that dies during a call honestly, and reaches it again", async () => {
    const subject = await start();
    const { client } = connect(subject.transport);
    const outcome = await client.call(toolCall("die", "{}"), context(), ignore);
    expect(outcome).toMatchObject({
      kind: "fault",
      fault: { name: "upstream-unreachable", data: { executed: "unknown" } },
    });
    await subject.restart?.();
    await untilEcho(client);
  });

  test("calls across a restart of the server succeed by themselves or after a retry", async () => {
    const subject = await start();
    if (subject.restart === undefined) return;
    const { client } = connect(subject.transport);
    await untilEcho(client);
    await subject.restart();
    await untilEcho(client);
  });

  test("closing ends calls in flight", async () => {
    const { client, servers } = connect((await start()).transport);
    await client.facts(never);
    const call = client.call(toolCall("wait", "{}"), { ...context(), timeoutMs: 30_000 }, ignore);
    const closing = servers.close();
    expect((await call).kind).toBe("fault");
    await closing;
  });

  test("more calls than allowed in flight are refused at once", async () => {
    const { client } = connect((await start()).transport, { maxInFlight: 1 });
    const abort = new AbortController();
    const first = client.call(toolCall("wait", "{}"), context(abort.signal), ignore);
    const second = await client.call(toolCall("echo", '{"text":"x"}'), context(), ignore);
    expect(second).toMatchObject({ kind: "fault", fault: { name: "too-many-in-flight" } });
    abort.abort();
    await first;
  });
});

describe("stdio processes", () => {
  test("a server that ends on a probe before initialize is started again as legacy", async () => {
    const { client } = connect(stdio("exits"));
    expect((await client.facts(never)).era).toBe("legacy");
    await untilEcho(client);
  });

  test("PR-25 an unreadable answer is a fault of the server", async () => {
    const { client } = connect(stdio("junk"));
    const outcome = await client.call(toolCall("echo", "{}"), context(), ignore);
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "upstream-invalid" } });
  });

  test("a killed process is started again, and restarts are counted", async () => {
    const { client, servers } = connect(stdio("v1"));
    await client.call(toolCall("die", "{}"), context(), ignore);
    await untilEcho(client);
    expect(servers.status("fake")?.restarts).toBe(1);
  });

  test.each(["v1", "stubborn"])("closing leaves no process behind: %s", async (kind) => {
    const { client, servers } = connect(stdio(kind), {}, { stopStepMs: 200 });
    await untilEcho(client);
    const children = await childrenRunning(kind);
    expect(children.length).toBeGreaterThan(0);
    await servers.close();
    expect(await childrenRunning(kind)).toEqual([]);
  });

  test("no process outlives a gateway that was killed", async () => {
    const holder = new URL("../support/fake-servers/hold-stdio.ts", import.meta.url).pathname;
    const gateway = Bun.spawn([process.execPath, holder, stdioMain], { stdout: "pipe" });
    const { value } = await gateway.stdout.getReader().read();
    const serverPid = Number(new TextDecoder().decode(value));
    expect(isRunning(serverPid)).toBe(true);
    gateway.kill("SIGKILL");
    await gateway.exited;
    await until(async () => !isRunning(serverPid));
  });

  test("a command that does not exist is an unreachable server, and then waits", async () => {
    const transport: ServerTransport = { ...stdio("v1"), command: "/nonexistent/command" };
    const { client } = connect(transport);
    const outcome = await client.call(toolCall("echo", "{}"), context(), ignore);
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "upstream-unreachable" } });
  });
});

describe("answers no SDK would give, over Streamable HTTP", () => {
  const rows: readonly [
    string,
    string,
    (id: number) => { status: number; headers: object; body: string },
  ][] = [
    [
      "UP-06 a redirect",
      "redirect-refused",
      () => answer(307, "", { location: "http://127.0.0.1:1/" }),
    ],
    [
      "UP-15 a page of HTML",
      "status-200",
      () => answer(200, "<p>hi", { "content-type": "text/html" }),
    ],
    ["UP-15 no JSON", "malformed-message", () => answer(200, "{nope")],
    ["UP-15 a failure", "status-503", () => answer(503, "", { "retry-after": "9999999999" })],
    [
      "UP-12 compression nobody asked for",
      "content-encoding",
      () => answer(200, "x", { "content-encoding": "gzip" }),
    ],
    [
      "UP-19 another id",
      "unknown-id",
      (id) => answer(200, `{"jsonrpc":"2.0","id":${id + 1},"result":{}}`),
    ],
    [
      "PR-25 result and error",
      "malformed-message",
      (id) =>
        answer(200, `{"jsonrpc":"2.0","id":${id},"result":{},"error":{"code":1,"message":""}}`),
    ],
    [
      "PR-25 a code that is no integer",
      "error-shape",
      (id) => answer(200, `{"jsonrpc":"2.0","id":${id},"error":{"code":1.5,"message":""}}`),
    ],
    [
      "PR-25 an unknown result type",
      "result-type-unknown",
      (id) => answer(200, `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"task"}}`),
    ],
    [
      "TS-05 another id on the stream",
      "unknown-id",
      (id) =>
        answer(200, `data: {"jsonrpc":"2.0","id":${id + 1},"result":{}}\n\n`, {
          "content-type": "text/event-stream",
        }),
    ],
    [
      "TS-03 an endless line",
      "answer-too-large",
      () => answer(200, `data: ${"x".repeat(30_000)}`, { "content-type": "text/event-stream" }),
    ],
  ];
  test.each(rows)("%s is refused as %s", async (_name, reason, reply) => {
    const { client } = connect(await startOdd(reply), { responseBytesMax: 20_000 });
    const outcome = await client.call(toolCall("echo", "{}"), context(), ignore);
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "upstream-invalid", reason } });
    if (outcome.kind === "fault")
      expect(outcome.fault.retryAfterMs ?? 0).toBeLessThanOrEqual(60_000);
  });

  test("TS-05 the first final answer wins; pings on the stream are answered", async () => {
    const stream = (id: number) =>
      [
        `{"jsonrpc":"2.0","id":"p1","method":"ping"}`,
        `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"first"}]}}`,
        `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"second"}]}}`,
      ]
        .map((text) => `data: ${text}\n\n`)
        .join("");
    const { client } = connect(
      await startOdd((id) => answer(200, stream(id), { "content-type": "text/event-stream" })),
    );
    expect(textOf(await client.call(toolCall("echo", "{}"), context(), ignore))).toBe("first");
  });

  test("a refusal for missing mirrored headers lists the tools and asks once more", async () => {
    const schema = { type: "object", properties: { r: { type: "string", "x-mcp-header": "R" } } };
    const tools = [{ name: "echo", inputSchema: schema }];
    const given: unknown[] = [];
    const transport = await startOdd(
      (id, method) => {
        if (method === "tools/list") {
          return answer(200, JSON.stringify({ jsonrpc: "2.0", id, result: { tools } }));
        }
        if (given.at(-1) === "eu") return result(id, "ok");
        const error = { code: -32020, message: "Header mismatch" };
        return answer(400, JSON.stringify({ jsonrpc: "2.0", id, error }));
      },
      (headers) => given.push(headers["mcp-param-r"]),
    );
    const { client } = connect(transport);
    const outcome = await client.call(toolCall("echo", '{"r":"eu"}'), context(), ignore);
    expect(textOf(outcome)).toBe("ok");
    expect(given).toEqual([undefined, undefined, "eu"]);
  });

  test("UP-10 the agent's credential is never sent on; MCP headers come from the body", async () => {
    let headers: Record<string, unknown> = {};
    const transport = await startOdd(
      (id) => result(id, "ok"),
      (given) => {
        headers = given;
      },
    );
    const { client } = connect(transport);
    const given = { authorization: "Bearer agent", "x-request-id": "r1", "mcp-name": "other" };
    await client.call(toolCall("\u00fcber", "{}"), { ...context(), headers: given }, ignore);
    expect(headers.authorization).toBeUndefined();
    expect(headers).toMatchObject({
      "x-request-id": "r1",
      "mcp-method": "tools/call",
      "mcp-name": "=?base64?w7xiZXI=?=",
      "mcp-protocol-version": "2026-07-28",
      "accept-encoding": "identity",
    });
  });
});

describe("a server that changes its era", () => {
  test.each([
    ["legacy", startHttpV1, "modern", startHttpV2],
    ["modern", startHttpV2, "legacy", startHttpV1],
  ] as const)("from %s to the other, at the same address", async (before, first, after, second) => {
    const old = await first();
    ends.push(old.stop);
    const { client, servers } = connect({ kind: "streamable-http", url: old.url, headers: {} });
    await untilEcho(client);
    expect(servers.status("fake")?.era).toBe(before);
    await old.stop();
    const next = await second(old.port);
    ends.push(next.stop);
    await untilEcho(client);
    expect(servers.status("fake")?.era).toBe(after);
  });

  test("an expired legacy verdict is checked beside the running session", async () => {
    let isModern = false;
    const fake = await startRaw((_request, response, body) => {
      const { id, method } = JSON.parse(body);
      const reply = dualReply(id, method, isModern);
      response.writeHead(reply.status, { ...reply.headers });
      response.end(reply.body);
    });
    ends.push(fake.stop);
    const transport = { kind: "streamable-http", url: fake.url, headers: {} } as const;
    const { client, servers } = connect(transport, {}, { legacyVerdictTtlMs: 0 });
    await client.call(toolCall("echo", "{}"), context(), ignore);
    expect(servers.status("fake")?.era).toBe("legacy");
    isModern = true;
    await until(async () => {
      await client.call(toolCall("echo", "{}"), context(), ignore);
      return servers.status("fake")?.era === "modern";
    });
  });
});

describe("apply", () => {
  test("leaves unchanged servers alone and lets removed ones finish", async () => {
    const fake = await startHttpV1();
    ends.push(fake.stop);
    const { client, servers } = connect({ kind: "streamable-http", url: fake.url, headers: {} });
    const call = client.call(toolCall("steps", "{}"), context(), ignore);
    servers.apply(new Map([["fake", structuredClone(client.spec)]]));
    expect(servers.get("fake")).toBe(client);
    servers.apply(new Map());
    expect(servers.get("fake")).toBeUndefined();
    expect(textOf(await call)).toBe("done");
    servers.apply(new Map([["fake", { ...client.spec, enabled: false }]]));
    expect(servers.status("fake")?.state).toBe("disabled");
  });

  test("UP-01 a private address is refused unless the operator allowed it", async () => {
    const transport = {
      kind: "streamable-http",
      url: "https://127.0.0.1:1/",
      headers: {},
    } as const;
    const { client } = connect(transport, { allowPrivateNetwork: false });
    const outcome = await client.call(toolCall("echo", "{}"), context(), ignore);
    expect(outcome).toMatchObject({
      kind: "fault",
      fault: { name: "upstream-unreachable", reason: "egress-address" },
    });
  });
});

const never = new AbortController().signal;
const ignore = () => {};

function stdio(kind: string): Extract<ServerTransport, { kind: "stdio" }> {
  const args = [stdioMain, kind];
  const command = process.execPath;
  return { kind: "stdio", command, args, environment: {}, workingDirectory: undefined };
}

function networked(
  kind: "streamable-http" | "http-sse" | "websocket",
  era: "legacy" | "modern",
  startAt: (port?: number) => Promise<FakeServer>,
): Combination {
  return {
    name: `${kind}, ${era}`,
    era,
    async start() {
      let fake = await startAt();
      ends.push(() => fake.stop());
      return {
        transport: { kind, url: fake.url, headers: {} },
        async restart() {
          await fake.stop();
          fake = await startAt(fake.port);
        },
      };
    },
  };
}

function connect(
  transport: ServerTransport,
  changes: Partial<ServerSpec> = {},
  limits: Partial<ServersLimits> = {},
): { readonly client: ServerClient; readonly servers: Servers } {
  const spec: ServerSpec = {
    name: "fake",
    description: "",
    transport,
    era: "auto",
    enabled: true,
    connectTimeoutMs: 10_000,
    callTimeoutMs: 10_000,
    responseBytesMax: 1_000_000,
    maxInFlight: 8,
    listTtlMs: 0,
    listsPublic: false,
    toolSettings: [],
    allowPrivateNetwork: true,
    dataClass: "INTERNAL",
    ...changes,
  };
  const servers = createServers({
    specs: new Map([["fake", spec]]),
    inheritedEnvironment: { PATH: "/usr/bin:/bin", HOME: "/tmp" },
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    limits,
  });
  ends.push(() => servers.close());
  const client = servers.get("fake");
  if (client === undefined) throw new Error("no client");
  return { client, servers };
}

function toolCall(name: string, argsText: string, progressTokenText?: string): McpRequest {
  const meta =
    progressTokenText === undefined ? "" : `,"_meta":{"progressToken":${progressTokenText}}`;
  return {
    kind: "request",
    idText: '"agent-1"',
    method: "tools/call",
    params: readObject(`{"name":${JSON.stringify(name)},"arguments":${argsText}${meta}}`),
    envelope: {
      revision: "2026-07-28",
      clientInfoText: undefined,
      clientCapabilitiesText: '{"elicitation":{},"sampling":{}}',
      logLevel: undefined,
      progressTokenText,
    },
  };
}

function context(signal: AbortSignal = never) {
  return { signal, timeoutMs: 10_000, headers: {} };
}

function textOf(outcome: Outcome): string | undefined {
  if (outcome.kind !== "result") throw new Error(JSON.stringify(outcome));
  return JSON.parse(paramsText(outcome.result)).content[0].text;
}

function paramsText({ text, start, end }: { text: string; start: number; end: number }): string {
  return text.slice(start, end);
}

async function seen(client: ServerClient): Promise<string> {
  return textOf(await client.call(toolCall("seen", "{}"), context(), ignore)) ?? "";
}

async function untilEcho(client: ServerClient): Promise<void> {
  await until(async () => {
    const outcome = await client.call(toolCall("echo", '{"text":"alive"}'), context(), ignore);
    return outcome.kind === "result" && textOf(outcome) === "alive";
  });
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error("not in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Processes of ours that run the stdio fake in this kind. */
async function childrenRunning(kind: string): Promise<readonly string[]> {
  const listing = Bun.spawn(["ps", "-o", "pid=,args=", "--ppid", String(process.pid)]);
  const lines = (await new Response(listing.stdout).text()).split("\n");
  return lines.filter(
    (line) => line.includes(`stdio-main.ts ${kind}`) && !line.includes("<defunct>"),
  );
}

function answer(status: number, body: string, headers: object = {}) {
  return { status, body, headers: { "content-type": "application/json", ...headers } };
}

/** A server that goes on answering `initialize` after it learned the modern era. */
function dualReply(id: number, method: string, isModern: boolean) {
  if (method.startsWith("notifications/")) return answer(202, "");
  if (method === "tools/call") return result(id, "ok");
  if (method === "server/discover" && !isModern) {
    const error = { code: -32601, message: "Method not found" };
    return answer(200, JSON.stringify({ jsonrpc: "2.0", id, error }));
  }
  const known = { supportedVersions: ["2026-07-28"], capabilities: {} };
  const opened = { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: {} };
  const body = method === "server/discover" ? known : opened;
  return answer(200, JSON.stringify({ jsonrpc: "2.0", id, result: body }));
}

function result(id: number, text: string) {
  const content = JSON.stringify([{ type: "text", text }]);
  return answer(200, `{"jsonrpc":"2.0","id":${id},"result":{"content":${content}}}`);
}

/** A modern server that discovers like any other and answers calls in its own way. */
async function startOdd(
  reply: (id: number, method: unknown) => { status: number; headers: object; body: string },
  note: (headers: Record<string, unknown>) => void = () => {},
): Promise<ServerTransport> {
  const discovered = {
    supportedVersions: ["2026-07-28"],
    capabilities: {},
    resultType: "complete",
  };
  const fake = await startRaw((request, response, body) => {
    const { id, method } = JSON.parse(body);
    if (method === "server/discover") {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result: discovered }));
      return;
    }
    if (method !== undefined) note(request.headers);
    const { status, headers, body: text } = reply(id ?? 0, method);
    response.writeHead(status, { ...headers });
    response.end(text);
  });
  ends.push(fake.stop);
  return { kind: "streamable-http", url: fake.url, headers: {} };
}
