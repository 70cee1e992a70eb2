/** Connections over time: revocation, expiry, slow readers, draining, and what operators see. */
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import {
  eventsOf,
  initializeBody,
  legacyBody,
  modernBody,
  openSession,
  post,
  postModern,
  startAgents,
  type TestAgents,
  until,
} from "../support/agents.ts";

function openSocket(agents: TestAgents, token = "alice"): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${agents.port}/ws`, {
      headers: { authorization: `Bearer ${token}` },
    });
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("the socket did not open"));
  });
}

function closeOf(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => {
    socket.onclose = ({ code }) => resolve(code);
  });
}

function openStream(agents: TestAgents, path: string, token: string, id = ""): Promise<Response> {
  const headers = {
    authorization: `Bearer ${token}`,
    accept: "text/event-stream",
    "mcp-session-id": id,
  };
  return fetch(agents.url + path, { headers });
}

async function ended(response: Response): Promise<void> {
  for await (const _ of eventsOf(response)) {
    // Only the end matters.
  }
}

describe("credentials that stop holding", () => {
  const endings = {
    "AN-14, TW-08: revoked": (agents: TestAgents) => {
      agents.dispatch.revoke("bob");
      agents.swapSnapshot();
    },
    "AN-14: revoked, noticed by the beat alone": (agents: TestAgents) =>
      agents.dispatch.revoke("bob"),
  };
  for (const [name, end] of Object.entries(endings)) {
    test(`${name}: streams end, sockets close with 4401, sessions are gone, others stay`, async () => {
      await using agents = await startAgents();
      const aliceSocket = await openSocket(agents);
      const bobSocket = await openSocket(agents, "bob");
      const bobClosed = closeOf(bobSocket);
      const bobSession = await openSession(agents, "2025-11-25", { token: "bob" });
      const aliceSession = await openSession(agents);
      const bobGet = await openStream(agents, "/mcp", "bob", bobSession);
      const bobSse = await openStream(agents, "/all/sse", "bob");
      end(agents);
      expect(await bobClosed).toBe(4401);
      await ended(bobGet);
      await ended(bobSse);
      const sessions = agents.listener.sessions.list();
      expect(sessions.map((one) => one.principalId)).toEqual(["client:alice"]);
      const headers = { "mcp-session-id": bobSession };
      expect((await post(agents, legacyBody("ping"), { token: "bob", headers })).status).toBe(401);
      const own = { "mcp-session-id": aliceSession };
      expect((await post(agents, legacyBody("ping"), { headers: own })).status).toBe(200);
      expect(aliceSocket.readyState).toBe(WebSocket.OPEN);
    });
  }

  test("AN-15, TW-08: expiry closes what was opened before it", async () => {
    await using agents = await startAgents();
    agents.dispatch.setExpiry("bob", Date.now() + 2_000);
    const socket = await openSocket(agents, "bob");
    const closed = closeOf(socket);
    const stream = await openStream(agents, "/all/sse", "bob");
    expect(await closed).toBe(4401);
    await ended(stream);
    expect(agents.listener.sessions.list()).toEqual([]);
  });

  test("TW-08: a message on a socket whose credential is refused closes it", async () => {
    await using agents = await startAgents();
    const socket = await openSocket(agents, "bob");
    const closed = closeOf(socket);
    const messages: string[] = [];
    socket.onmessage = (event) => messages.push(String(event.data));
    agents.dispatch.revoke("bob");
    socket.send(modernBody("tools/list"));
    expect(await closed).toBe(4401);
  });

  test("operators see sessions by public id and end them", async () => {
    await using agents = await startAgents();
    const id = await openSession(agents);
    const socket = await openSocket(agents);
    const closed = closeOf(socket);
    socket.send(initializeBody());
    await until(() => agents.listener.sessions.list().length === 2);
    const listed = agents.listener.sessions.list();
    expect(listed.map((one) => one.binding).sort()).toEqual(["http", "websocket"]);
    expect(JSON.stringify(listed)).not.toContain(id);
    for (const one of listed) expect(agents.listener.sessions.end(one.id)).toBe(true);
    expect(agents.listener.sessions.end("nothing")).toBe(false);
    expect(await closed).toBe(4404);
    const headers = { "mcp-session-id": id };
    expect((await post(agents, legacyBody("ping"), { headers })).status).toBe(404);
  });

  test("idle sessions end", async () => {
    await using agents = await startAgents({ sessionIdleMs: 1 });
    await openSession(agents);
    await until(() => agents.listener.sessions.list().length === 0);
  });
});

describe("slow readers", () => {
  test("TS-01, TS-02: a stalled stream is cut and counted; the gateway does not buffer it", async () => {
    await using agents = await startAgents();
    const text = modernBody("tools/call", { name: "flood", arguments: {} });
    const socket = connect(agents.port, "127.0.0.1", () => {
      socket.write(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer alice\r\n" +
          "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n" +
          "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: flood\r\n" +
          `Content-Length: ${text.length}\r\n\r\n${text}`,
      );
    });
    socket.on("error", () => {});
    socket.pause();
    const closed = new Promise((resolve) => socket.on("close", resolve));
    await until(async () => (await agents.metrics.total("mcp_gateway_slow_consumers_total")) === 1);
    socket.resume();
    await closed;
    expect((await postModern(agents, "tools/list")).status).toBe(200);
  });

  test("TW-04: a socket that does not read is closed and counted", async () => {
    await using agents = await startAgents();
    const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const socket = connect(agents.port, "127.0.0.1", () => {
      socket.write(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer alice\r\n" +
          `Upgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`,
      );
    });
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.pause();
      socket.write(maskedFrame(modernBody("tools/call", { name: "flood", arguments: {} })));
    });
    const closed = new Promise((resolve) => socket.on("close", resolve));
    await until(async () => (await agents.metrics.total("mcp_gateway_slow_consumers_total")) === 1);
    socket.resume();
    await closed;
  });
});

describe("draining", () => {
  test("calls in flight finish, new work is refused, streams and sockets end", async () => {
    await using agents = await startAgents();
    const idle = await openSocket(agents);
    const idleClosed = closeOf(idle);
    const busy = await openSocket(agents);
    const busyClosed = closeOf(busy);
    const messages: string[] = [];
    busy.onmessage = (event) => messages.push(String(event.data));
    busy.send(modernBody("tools/call", { name: "wait", arguments: {} }, 7));
    const session = await openSession(agents);
    const stream = await openStream(agents, "/mcp", "alice", session);
    const waiting = postModern(agents, "tools/call", { name: "wait", arguments: {} });
    await until(() => agents.dispatch.waiting() === 2);

    const drained = agents.listener.drain(5_000);
    expect(await idleClosed).toBe(1001);
    const refused = await postModern(agents, "tools/list");
    expect(refused.status).toBe(503);
    expect(refused.headers.get("connection")).toBe("close");
    expect(await refused.json()).toMatchObject({
      error: { code: 50304, data: { name: "draining" } },
    });
    expect((await fetch(`${agents.url}/health`)).status).toBe(503);
    busy.send(modernBody("tools/list", {}, 8));
    await until(() => messages.length === 1);
    expect(messages[0]).toContain("50304");

    agents.dispatch.release();
    await drained;
    expect((await waiting).status).toBe(200);
    expect(await busyClosed).toBe(1001);
    expect(messages[1]).toContain('"id":7,"result"');
    await ended(stream);
  });

  test("drain gives up waiting after its grace", async () => {
    await using agents = await startAgents();
    const socket = await openSocket(agents);
    const closed = closeOf(socket);
    socket.send(modernBody("tools/call", { name: "wait", arguments: {} }));
    await until(() => agents.dispatch.waiting() === 1);
    await agents.listener.drain(20);
    expect(await closed).toBe(1001);
    await until(() => agents.dispatch.aborted.length === 1);
  });
});

function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}
