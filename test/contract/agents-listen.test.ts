/** `subscriptions/listen` over real connections: event streams and sockets, the SDK's client, and how they end. */
import { describe, expect, test } from "bun:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { readObject } from "../../src/protocol/json-view.ts";
import { eventsOf, modernBody, until } from "../support/agents.ts";
import { clientOf, clientToken, type FakeServer } from "../support/data-plane.ts";
import { within } from "../support/deadline.ts";
import { modernPost } from "../support/modern-agent.ts";
import { type PlaneGateway, startPlaneGateway } from "../support/plane-gateway.ts";
import { openRawWebSocket, type RawWebSocket } from "../support/raw-websocket.ts";

const calc: FakeServer = { name: "calc", tools: ["add"], resources: ["note://calc"] };
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = clientOf("ci", everything);
const token = clientToken("ci");
const subscriptionKey = "io.modelcontextprotocol/subscriptionId";

function listenOverHttp(gateway: PlaneGateway, id: string | number, signal?: AbortSignal) {
  return modernPost({
    base: gateway.base,
    scope: "calc",
    token,
    method: "subscriptions/listen",
    params: { notifications: { toolsListChanged: true } },
    id,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function openSocket(gateway: PlaneGateway): Promise<RawWebSocket> {
  const headers = { Authorization: `Bearer ${token}` };
  const upgrade = await openRawWebSocket({ base: gateway.base, path: "/calc/ws", headers });
  if ("refusal" in upgrade) throw new Error(`refused: ${upgrade.refusal.status}`);
  return upgrade.webSocket;
}

function listenOverSocket(socket: RawWebSocket, id: string | number): void {
  const params = { notifications: { toolsListChanged: true } };
  socket.sendText(modernBody("subscriptions/listen", params, id));
}

async function nextOf(socket: RawWebSocket) {
  const next = await within("a message", socket.next());
  return typeof next === "number" ? next : JSON.parse(next);
}

const ack = (id: string | number) => ({
  jsonrpc: "2.0",
  method: "notifications/subscriptions/acknowledged",
  params: { notifications: { toolsListChanged: true }, _meta: { [subscriptionKey]: id } },
});
const toolsChanged = (id: string | number) => ({
  jsonrpc: "2.0",
  method: "notifications/tools/list_changed",
  params: { _meta: { [subscriptionKey]: id } },
});
const closing = (id: string | number) => ({
  jsonrpc: "2.0",
  id,
  result: { resultType: "complete", _meta: { [subscriptionKey]: id } },
});

describe("Streamable HTTP", () => {
  test("a listen is a stream from its first message on, kept alive, ended by going away", async () => {
    await using gateway = await startPlaneGateway([calc], state, {
      keepAliveMs: 100,
      sseAfterMs: 60_000,
    });
    const leave = new AbortController();
    const response = await within("headers", listenOverHttp(gateway, "x", leave.signal));
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const events = eventsOf(response);
    expect(JSON.parse((await events.next()).value?.text ?? "")).toEqual(ack("x"));
    gateway.plane.change("calc", { kind: "tools" });
    expect(JSON.parse((await events.next()).value?.text ?? "")).toEqual(toolsChanged("x"));
    expect(gateway.plane.following.size).toBe(1);
    leave.abort();
    await until(() => gateway.plane.following.size === 0);
    await until(() => gateway.plane.records.length === 1);
    await until(() => gateway.listener.connections() === 0);
  });

  test("a silent stream gets comments", async () => {
    await using gateway = await startPlaneGateway([calc], state, { keepAliveMs: 100 });
    const response = await listenOverHttp(gateway, 1);
    const reader = response.body?.getReader();
    let text = "";
    while (!/^:/m.test(text)) {
      const part = await within("a comment", reader?.read() ?? Promise.resolve(undefined));
      text += new TextDecoder().decode(part?.value);
    }
    await reader?.cancel();
  });

  test("a refusal has its own status", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    const held = [await listenOverHttp(gateway, 1), await listenOverHttp(gateway, 2)];
    const third = await listenOverHttp(gateway, 3);
    expect([third.status, await third.json()]).toMatchObject([
      429,
      { id: 3, error: { code: 42902 } },
    ]);
    for (const one of held) await one.body?.cancel();
  });

  test("AN-14: a withdrawn token ends the stream with its result", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    const events = eventsOf(await listenOverHttp(gateway, 5));
    await events.next();
    gateway.plane.swap(state.filter((one) => one.kind !== "token"));
    const last = await within("the result", events.next());
    expect(JSON.parse(last.value?.text ?? "")).toMatchObject(closing(5));
    expect((await within("the end", events.next())).done).toBe(true);
  });

  test("TS-11: draining ends the stream with its result and waits for nothing", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    const events = eventsOf(await listenOverHttp(gateway, 5));
    await events.next();
    const startedMs = performance.now();
    await gateway.listener.drain(10_000);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(JSON.parse((await events.next()).value?.text ?? "")).toMatchObject(closing(5));
    expect((await events.next()).done).toBe(true);
  });

  test("the SDK's client listens, hears, and sees the end", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    const client = new Client(
      { name: "listener", version: "1" },
      { versionNegotiation: { mode: { pin: "2026-07-28" } } },
    );
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${gateway.base}/calc/mcp`), {
        requestInit: { headers: { Authorization: `Bearer ${token}` } },
      }),
    );
    const heard: unknown[] = [];
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
      heard.push(params.uri);
    });
    client.setNotificationHandler("notifications/tools/list_changed", () => {
      heard.push("tools");
    });
    const resourceSubscriptions = ["note://calc"];
    const first = await client.listen({ toolsListChanged: true, resourceSubscriptions });
    expect(first.honoredFilter).toEqual({ toolsListChanged: true, resourceSubscriptions });
    const second = await client.listen({ promptsListChanged: true });
    gateway.plane.change("calc", { kind: "tools" });
    const params = readObject('{"uri":"note://calc"}');
    gateway.plane.change("calc", { kind: "resource", uri: "note://calc", params });
    await until(() => heard.length === 2);
    expect(heard.toSorted()).toEqual(["note://calc", "tools"]);
    await second.close();
    expect(await second.closed).toBe("local");
    await until(() => gateway.plane.following.size === 1);
    await gateway.listener.drain(5_000);
    expect(await within("the end", first.closed)).toBe("graceful");
    await client.close();
  });
});

describe("WebSocket", () => {
  test("several listens share a socket; cancelling one ends it without an answer", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    using socket = await openSocket(gateway);
    for (const id of [1, "1"]) {
      listenOverSocket(socket, id);
      expect(await nextOf(socket)).toEqual(ack(id));
    }
    gateway.plane.change("calc", { kind: "tools" });
    expect(await nextOf(socket)).toEqual(toolsChanged(1));
    expect(await nextOf(socket)).toEqual(toolsChanged("1"));
    const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } };
    socket.sendText(JSON.stringify(cancel));
    await until(() => gateway.plane.following.size === 1);
    gateway.plane.change("calc", { kind: "tools" });
    expect(await nextOf(socket)).toEqual(toolsChanged("1"));
  });

  test("TW-05: a lost socket ends all of its listens", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    const socket = await openSocket(gateway);
    for (const id of [1, 2]) {
      listenOverSocket(socket, id);
      await nextOf(socket);
    }
    socket.socket.destroy();
    await until(() => gateway.plane.following.size === 0);
    await until(() => gateway.plane.records.length === 2);
  });

  test("a listen takes no place among a socket's calls", async () => {
    await using gateway = await startPlaneGateway([calc], state, { callsPerConnectionMax: 1 });
    using socket = await openSocket(gateway);
    for (const id of [1, 2]) {
      listenOverSocket(socket, id);
      await nextOf(socket);
    }
    for (const id of [3, 4]) {
      socket.sendText(modernBody("tools/call", { name: "add" }, id));
      expect(await nextOf(socket)).toMatchObject({ id, result: {} });
    }
  });

  test("draining ends listens with their results, then closes the socket", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    using socket = await openSocket(gateway);
    for (const id of [1, 2]) {
      listenOverSocket(socket, id);
      await nextOf(socket);
    }
    await gateway.listener.drain(10_000);
    expect(await nextOf(socket)).toMatchObject(closing(1));
    expect(await nextOf(socket)).toMatchObject(closing(2));
    expect(await nextOf(socket)).toBe(1001);
  });

  test("AN-14: a withdrawn token closes the socket", async () => {
    await using gateway = await startPlaneGateway([calc], state);
    using socket = await openSocket(gateway);
    listenOverSocket(socket, 1);
    await nextOf(socket);
    gateway.plane.swap(state.filter((one) => one.kind !== "token"));
    expect(await within("the close", socket.closed)).toBe(4401);
    await until(() => gateway.plane.following.size === 0);
  });
});
