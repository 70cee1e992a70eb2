/** The HTTP+SSE binding of 2024-11-05, and single messages posted to a scope. */
import { describe, expect, test } from "bun:test";
import {
  eventsOf,
  initializeBody,
  legacyBody,
  modernBody,
  post,
  startAgents,
  type TestAgents,
  type TestEvent,
  until,
} from "../support/agents.ts";

interface OpenStream {
  readonly endpoint: string;
  readonly events: AsyncGenerator<TestEvent>;
  readonly close: () => void;
}

async function openStream(agents: TestAgents, token = "alice"): Promise<OpenStream> {
  const gone = new AbortController();
  const response = await fetch(`${agents.url}/notes/sse`, {
    signal: gone.signal,
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
  });
  const events = eventsOf(response);
  const first = await events.next();
  expect(first.value).toMatchObject({ type: "endpoint" });
  return { endpoint: first.value?.text ?? "", events, close: () => gone.abort() };
}

async function nextMessage(stream: OpenStream): Promise<object> {
  const next = await stream.events.next();
  expect(next.value).toMatchObject({ type: "message" });
  return JSON.parse(next.value?.text ?? "null");
}

describe("the stream and its endpoint", () => {
  test("T02: the first event names the endpoint; what is posted there is answered on the stream", async () => {
    await using agents = await startAgents();
    const stream = await openStream(agents);
    expect(stream.endpoint).toMatch(/^\/notes\/sse\?sessionId=[A-Za-z0-9_-]{43}$/);
    const path = stream.endpoint;
    expect((await post(agents, initializeBody("2024-11-05"), { path })).status).toBe(202);
    expect(await nextMessage(stream)).toMatchObject({ result: { protocolVersion: "2024-11-05" } });
    const params = { name: "progress", arguments: {}, _meta: { progressToken: 7 } };
    await post(agents, legacyBody("tools/call", params, "x"), { path });
    for (const progress of [1, 2, 3]) {
      expect(await nextMessage(stream)).toMatchObject({ params: { progressToken: 7, progress } });
    }
    expect(await nextMessage(stream)).toMatchObject({ id: "x", result: {} });
    await post(agents, legacyBody("tools/call", { name: "refuse" }, 9), { path });
    expect(await nextMessage(stream)).toMatchObject({ id: 9, error: { code: 40301 } });
    expect(agents.listener.sessions.list()).toMatchObject([
      { binding: "sse", scope: "notes", principalId: "client:alice", revision: "2024-11-05" },
    ]);
    stream.close();
    await until(() => agents.listener.sessions.list().length === 0);
  });

  test("TS-09: another's, a guessed, a closed session are all unknown", async () => {
    await using agents = await startAgents();
    const stream = await openStream(agents);
    const path = stream.endpoint;
    const ping = (options: object) => post(agents, legacyBody("ping"), options);
    expect((await ping({ path, token: "bob" })).status).toBe(404);
    expect((await ping({ path: path.replace("notes", "other") })).status).toBe(404);
    expect((await ping({ path: "/notes/sse?sessionId=guess" })).status).toBe(404);
    expect((await ping({ path: "/notes/sse?sessionId=" })).status).toBe(404);
    expect((await ping({ path, token: null })).status).toBe(401);
    stream.close();
    await until(async () => (await ping({ path })).status === 404);
  });

  test("a lost stream cancels what it had in flight", async () => {
    await using agents = await startAgents();
    const stream = await openStream(agents);
    await post(agents, legacyBody("tools/call", { name: "wait" }, 3), { path: stream.endpoint });
    await until(() => agents.dispatch.waiting() === 1);
    stream.close();
    await until(() => agents.dispatch.aborted.length === 1);
  });

  test("admission comes first: 401, unknown scope 404, wrong Accept 406, other methods 405", async () => {
    await using agents = await startAgents();
    const get = (path: string, headers: Record<string, string>, method = "GET") =>
      fetch(agents.url + path, { method, headers });
    const authorization = "Bearer alice";
    const accept = "text/event-stream";
    expect((await get("/notes/sse", { accept })).status).toBe(401);
    expect((await get("/nowhere/sse", { accept, authorization })).status).toBe(404);
    expect((await get("/notes/sse", { accept: "text/html", authorization })).status).toBe(406);
    expect((await get("/notes/sse", { authorization }, "DELETE")).status).toBe(405);
  });
});

describe("single messages (T01)", () => {
  const path = "/notes/sse";

  test("JSON in, JSON out, without a session", async () => {
    await using agents = await startAgents();
    const headers = { accept: "application/json" };
    const list = await post(agents, legacyBody("tools/list"), { path, headers });
    expect(list.status).toBe(200);
    expect(await list.json()).toMatchObject({
      id: 1,
      result: { tools: [{ name: "echo" }, {}, {}, {}, {}, {}, {}, {}] },
    });
    const opened = await post(agents, initializeBody(), { path });
    expect(await opened.json()).toMatchObject({ result: { protocolVersion: "2025-11-25" } });
    const bad = await post(agents, "{", { path });
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ error: { code: -32700 } });
  });

  test("ping is answered to those who may be here", async () => {
    await using agents = await startAgents();
    const allowed = await post(agents, legacyBody("ping"), { path });
    expect(await allowed.json()).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
    const refused = await post(agents, legacyBody("ping"), { path, token: null });
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain("resource_metadata=");
  });

  test("a caller that reads event streams only gets one", async () => {
    await using agents = await startAgents();
    const headers = { accept: "text/event-stream" };
    const response = await post(agents, legacyBody("tools/list"), { path, headers });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const event = await eventsOf(response).next();
    expect(JSON.parse(event.value?.text ?? "")).toMatchObject({ id: 1, result: {} });
  });

  test("modern messages are taken as on the other endpoint", async () => {
    await using agents = await startAgents();
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" };
    const response = await post(agents, modernBody("tools/list"), { path, headers });
    expect(await response.json()).toMatchObject({ result: { resultType: "complete" } });
  });
});

test("T02: switched off, the transport of 2024-11-05 does not exist", async () => {
  await using agents = await startAgents({ httpSse: false });
  const headers = { authorization: "Bearer good", accept: "text/event-stream" };
  const answer = await fetch(`${agents.url}/notes/sse`, { headers });
  expect(answer.status).toBe(404);
});
