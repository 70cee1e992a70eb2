/**
 * Event streams of legacy Streamable HTTP sessions: a call's stream that breaks is taken up again by GET, and the
 * session's own stream is kept open (revision 2025-11-25, "Resumability and Redelivery").
 */
import { expect, test } from "bun:test";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { objectText } from "../../src/protocol/json-view.ts";
import type { RelayedMessage } from "../../src/protocol/messages.ts";
import { callTool, connectServer, needAsked, needText } from "../support/connected-server.ts";
import { until } from "../support/deadline.ts";
import { createAskingServer, createEventStore } from "../support/fake-servers/asking.ts";
import { type FakeServer, startHttpV1, startRaw } from "../support/fake-servers/network.ts";

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly atMs: number;
}

interface ScriptedSession extends AsyncDisposable {
  readonly fake: FakeServer;
  readonly gets: readonly Seen[];
  /** What was posted, calls and handshake left out. */
  readonly posts: readonly string[];
}

/** A legacy server whose calls and GET streams do what the test says. */
async function startSession(script: {
  call(response: ServerResponse, id: number): void;
  get(response: ServerResponse, count: number, headers: IncomingHttpHeaders): void;
}): Promise<ScriptedSession> {
  const gets: Seen[] = [];
  const posts: string[] = [];
  const fake = await startRaw((request, response, body) => {
    if (request.method === "GET") {
      gets.push({ headers: request.headers, atMs: performance.now() });
      script.get(response, gets.length, request.headers);
      return;
    }
    const message = request.method === "POST" ? JSON.parse(body) : {};
    if (message.method === "tools/call") return script.call(response, message.id);
    if (message.id === undefined || message.method === undefined) {
      if (message.id !== undefined) posts.push(body);
      response.writeHead(202).end();
      return;
    }
    const opened = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: {} };
    const refused = { code: -32601, message: "Method not found" };
    const isInitialize = message.method === "initialize";
    const outcome = isInitialize ? { result: opened } : { error: refused };
    response.writeHead(200, {
      "content-type": "application/json",
      ...(isInitialize && { "mcp-session-id": "s1" }),
    });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...outcome }));
  });
  return { fake, gets, posts, [Symbol.asyncDispose]: fake.stop };
}

function connect(session: ScriptedSession, limits: { readonly callTimeoutMs?: number } = {}) {
  return connectServer(
    { kind: "streamable-http", url: session.fake.url, headers: {} },
    { era: "legacy", ...limits },
  );
}

const stream = { "content-type": "text/event-stream" };
const result = (id: number, text: string) =>
  `data: {"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"${text}"}]}}\n\n`;
const progress = (id: number, step: number) =>
  `data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${id},"progress":${step}}}\n\n`;
const refuse = (response: ServerResponse) => void response.writeHead(405).end();
/** Agents that can be asked nothing get no stream of their own beside their calls. */
const plain = { capabilities: "{}" };

test("a stream that breaks after an id is taken up from there, not before `retry` allows", async () => {
  let callId = 0;
  await using session = await startSession({
    call(response, id) {
      callId = id;
      response.writeHead(200, stream);
      response.write(`id: a/1\nretry: 300\n${progress(id, 1)}`, () => response.destroy());
    },
    get(response, count) {
      response.writeHead(200, stream);
      if (count === 1) response.end(`id: a/2\n${progress(callId, 2)}`);
      else response.write(`id: a/3\n${result(callId, "resumed")}`);
    },
  });
  await using server = connect(session);
  const relayed: RelayedMessage[] = [];
  const startedMs = performance.now();
  const outcome = await callTool(server.client, "t", {}, { ...plain, progressToken: "p", relayed });
  expect(needText(outcome)).toBe("resumed");
  expect(relayed).toHaveLength(2);
  expect(session.gets.map(({ headers }) => headers["last-event-id"])).toEqual(["a/1", "a/2"]);
  expect(session.gets[0]?.headers).toMatchObject({
    accept: "text/event-stream",
    "mcp-session-id": "s1",
    "mcp-protocol-version": "2025-11-25",
  });
  expect((session.gets[0]?.atMs ?? 0) - startedMs).toBeGreaterThanOrEqual(300);
  expect((session.gets[1]?.atMs ?? 0) - (session.gets[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(300);
});

test("UP-14 a stream without ids is not asked for again: the fault says that nobody knows", async () => {
  await using session = await startSession({
    call(response, id) {
      response.writeHead(200, stream);
      response.write(progress(id, 1), () => response.destroy());
    },
    get: refuse,
  });
  await using server = connect(session);
  const outcome = await callTool(server.client, "t", {}, { ...plain, progressToken: "p" });
  expect(outcome).toMatchObject({
    kind: "fault",
    fault: { name: "upstream-unreachable", data: { executed: "unknown" } },
  });
  expect(session.gets).toHaveLength(0);
});

test("a stream the server does not resume is a lost connection; one it never ends, a time-out", async () => {
  for (const [status, name, limits] of [
    [404, "upstream-unreachable", {}],
    [503, "upstream-timeout", { callTimeoutMs: 2_000 }],
  ] as const) {
    await using session = await startSession({
      call(response) {
        response.writeHead(200, stream);
        response.end("id: a/1\ndata:\n\n");
      },
      get: (response) => void response.writeHead(status).end(),
    });
    await using server = connect(session, limits);
    const outcome = await callTool(server.client, "t", {}, plain);
    expect(outcome).toMatchObject({ kind: "fault", fault: { name } });
    expect(session.gets.length).toBeGreaterThan(0);
    expect(session.gets.length).toBeLessThan(5);
  }
});

test("SDK v1 with an event store: a server that ends the connection is polled until it answers", async () => {
  const more = { eventStore: createEventStore(), retryInterval: 50 };
  const fake = await startHttpV1(0, createAskingServer, more);
  await using _stop = { [Symbol.asyncDispose]: fake.stop };
  await using server = connectServer({ kind: "streamable-http", url: fake.url, headers: {} });
  const relayed: RelayedMessage[] = [];
  const outcome = await callTool(
    server.client,
    "poll",
    { delay_ms: 400 },
    { progressToken: "p", relayed },
  );
  expect(needText(outcome)).toBe("polled");
  expect(relayed).toHaveLength(1);
});

test("the session's own stream: a question there is answered, progress finds its call, and it is kept open", async () => {
  let own: ServerResponse | undefined;
  let callId = 0;
  let call: ServerResponse | undefined;
  await using session = await startSession({
    call(response, id) {
      callId = id;
      call = response;
      response.writeHead(200, stream);
      response.flushHeaders();
    },
    get(response) {
      own = response;
      response.writeHead(200, stream);
      response.write("id: own/1\nretry: 20\ndata:\n\n");
    },
  });
  await using server = connect(session);
  const relayed: RelayedMessage[] = [];
  const options = { progressToken: "p", relayed };
  const asking = callTool(server.client, "t", {}, options);
  await until("the call and the stream", () => call !== undefined && own !== undefined);
  own?.write(progress(callId, 1));
  own?.end(`id: own/2\ndata: {"jsonrpc":"2.0","id":"é\\n","method":"roots/list"}\n\n`);
  const asked = needAsked(await asking);
  expect(relayed).toHaveLength(1);
  await until("the stream to come back", () => session.gets.length === 2);
  expect(session.gets.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "own/2"]);
  own?.write(progress(callId, 2));
  await Bun.sleep(50);
  const roots = { roots: [{ uri: "file:///\u2028" }] };
  const kept: RelayedMessage[] = [];
  const retry = {
    requestState: asked.requestState,
    inputResponses: { q1: roots },
    progressToken: "p2",
    relayed: kept,
  };
  const ending = callTool(server.client, "t", {}, retry);
  await until("the answer", () => session.posts.length === 1);
  expect(session.posts[0]).toBe(`{"jsonrpc":"2.0","id":"é\\n","result":${JSON.stringify(roots)}}`);
  call?.end(result(callId, "done"));
  expect(needText(await ending)).toBe("done");
  // What came while nobody waited.
  expect(kept.map(({ params }) => JSON.parse(objectText(params)))).toEqual([
    { progressToken: "p2", progress: 2 },
  ]);
});

test("a server without such a stream is asked for it once", async () => {
  await using session = await startSession({
    call: (response, id) => void response.writeHead(200, stream).end(result(id, "ok")),
    get: refuse,
  });
  await using server = connect(session);
  for (let count = 0; count < 3; count += 1) {
    expect(needText(await callTool(server.client, "t", {}))).toBe("ok");
  }
  expect(session.gets).toHaveLength(1);
});

test("a session the server forgot is left: its stream ends, and a new one takes its place unseen", async () => {
  let isForgotten = false;
  const streams: ServerResponse[] = [];
  await using session = await startSession({
    call(response, id) {
      if (isForgotten) response.writeHead(400).end();
      else response.writeHead(200, stream).end(result(id, "ok"));
      isForgotten = false;
    },
    get(response) {
      streams.push(response);
      response.writeHead(200, stream);
      response.flushHeaders();
    },
  });
  await using server = connect(session);
  expect(needText(await callTool(server.client, "t", {}))).toBe("ok");
  isForgotten = true;
  expect(needText(await callTool(server.client, "t", {}))).toBe("ok");
  await until("the first stream to end, the second to open", () => {
    return streams.length === 2 && streams[0]?.destroyed && streams[1]?.destroyed === false;
  });
});
