/** Streamable HTTP in both eras, on the wire. */
import { describe, expect, test } from "bun:test";
import {
  eventsOf,
  initializeBody,
  legacyBody,
  modernBody,
  openSession,
  post,
  postModern,
  startAgents,
  until,
} from "../support/agents.ts";

describe("modern requests", () => {
  test("a short call is one JSON answer with what the revision demands", async () => {
    await using agents = await startAgents();
    const response = await postModern(agents, "tools/call", {
      name: "echo",
      arguments: { big: 12345678901234567890n.toString() },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      jsonrpc: "2.0",
      id: 1,
      result: {
        resultType: "complete",
        _meta: { "io.modelcontextprotocol/serverInfo": { name: "mcp-gateway" } },
      },
    });
    const list = (await (await postModern(agents, "tools/list")).json()) as { result: object };
    expect(list.result).toMatchObject({ ttlMs: 0, cacheScope: "private" });
  });

  test("relayed messages turn the answer into an event stream, in order", async () => {
    await using agents = await startAgents();
    const params = { name: "progress", arguments: {}, _meta: { progressToken: "p" } };
    const response = await postModern(agents, "tools/call", params);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const messages = [];
    for await (const event of eventsOf(response)) messages.push(JSON.parse(event.text));
    expect(messages.map((one) => one.params?.progress ?? one.result?.resultType)).toEqual([
      1,
      2,
      3,
      "complete",
    ]);
  });

  test("a long call becomes an event stream that can be kept alive", async () => {
    await using agents = await startAgents({ sseAfterMs: 20, keepAliveMs: 100 });
    const response = await postModern(agents, "tools/call", { name: "wait", arguments: {} });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.getReader();
    const comment = ": keep-alive\n\n";
    let text = "";
    // One at once, another after a while; they may come in one piece.
    while (text.length < 2 * comment.length) {
      text += new TextDecoder().decode((await reader.read()).value);
    }
    expect(text.replaceAll(comment, "")).toBe("");
    agents.dispatch.release();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      text += new TextDecoder().decode(next.value);
    }
    expect(text).toContain('"waited"');
  });

  test("PR-19: going away cancels, before and after the stream began", async () => {
    await using agents = await startAgents({ sseAfterMs: 50 });
    for (const headersFirst of [false, true]) {
      const gone = new AbortController();
      const call = postModern(
        agents,
        "tools/call",
        { name: "wait", arguments: {} },
        { signal: gone.signal },
      );
      if (headersFirst) await call;
      await until(() => agents.dispatch.waiting() > agents.dispatch.aborted.length);
      gone.abort();
      if (!headersFirst) await expect(call).rejects.toThrow();
      await until(() => agents.dispatch.waiting() === agents.dispatch.aborted.length);
    }
  });

  const refusals: readonly [string, Record<string, string | undefined>, string, number, number][] =
    [
      ["PR-12 no version header", { "mcp-protocol-version": undefined }, "tools/list", 400, -32020],
      ["PR-12 other method", { "mcp-method": "tools/call" }, "tools/list", 400, -32020],
      ["PR-12 name missing", { "mcp-name": undefined }, "tools/call", 400, -32020],
      ["PR-12 bad base64", { "mcp-name": "=?base64?ZWNo!?=" }, "tools/call", 400, -32020],
      ["PR-16 unknown method", { "mcp-method": "toString" }, "toString", 404, -32601],
    ];
  for (const [name, change, method, status, code] of refusals) {
    test(name, async () => {
      await using agents = await startAgents();
      const headers: Record<string, string> = {};
      const usual = {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        "mcp-name": "echo",
      };
      for (const [key, value] of Object.entries({ ...usual, ...change })) {
        if (value !== undefined) headers[key] = value;
      }
      const body = modernBody(method, { name: "echo", arguments: {} });
      const response = await post(agents, body, { headers });
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ id: 1, error: { code } });
    });
  }

  test("PR-14: an unknown version is named together with those we speak", async () => {
    await using agents = await startAgents();
    const body = modernBody("tools/list").replace("2026-07-28", "2030-01-01");
    const headers = { "mcp-protocol-version": "2030-01-01", "mcp-method": "tools/list" };
    const response = await post(agents, body, { headers });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: -32022, data: { supported: ["2026-07-28"], requested: "2030-01-01" } },
    });
  });

  test("PR-15: the header alone does not make a request modern", async () => {
    await using agents = await startAgents();
    const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" };
    const response = await post(agents, legacyBody("tools/list"), { headers });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ id: 1, error: { code: -32602 } });
  });

  test("PR-18: GET and DELETE are not modern; session and event ids are ignored", async () => {
    await using agents = await startAgents();
    for (const method of ["GET", "DELETE"]) {
      const response = await fetch(`${agents.url}/mcp`, {
        method,
        headers: { authorization: "Bearer alice", "mcp-protocol-version": "2026-07-28" },
      });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("POST");
    }
    const headers = { "mcp-session-id": "anything", "last-event-id": "7" };
    const response = await postModern(agents, "tools/list", {}, { headers });
    expect(response.status).toBe(200);
    expect(response.headers.has("mcp-session-id")).toBe(false);
  });

  test("faults have their status, their code and what to do about them", async () => {
    await using agents = await startAgents();
    const call = (name: string) => postModern(agents, "tools/call", { name, arguments: {} });
    const refused = await call("refuse");
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({
      error: { code: 40301, data: { name: "policy-denied" } },
    });
    const limited = await call("limited");
    expect(limited.status).toBe(429);
    expect(limited.headers.get("retry-after")).toBe("2");
    expect(limited.headers.get("ratelimit")).toBe('"per-client";r=0;t=7');
    expect(limited.headers.get("ratelimit-policy")).toBe('"per-client";q=10;w=60');
    expect(await limited.json()).toMatchObject({
      error: {
        code: 42901,
        data: { name: "rate-limited", retryAfterMs: 1500, limit: { remaining: 0 } },
      },
    });
    const hidden = await call("hidden");
    const unknown = await call("no-such-tool");
    expect(hidden.status).toBe(200);
    expect(await hidden.text()).toBe(await unknown.text());
    const crashed = await call("crash");
    expect(crashed.status).toBe(500);
    expect(await crashed.text()).not.toContain("a bug");
  });

  test("I-01: a correlation id is echoed where it is well-formed (D09, TH-08)", async () => {
    await using agents = await startAgents();
    const good = await postModern(
      agents,
      "tools/list",
      {},
      { headers: { "x-request-id": "abc-1" } },
    );
    expect(good.headers.get("x-request-id")).toBe("abc-1");
    const bad = await postModern(
      agents,
      "tools/list",
      {},
      { headers: { "x-request-id": 'a"b ü' } },
    );
    expect(bad.status).toBe(200);
    expect(bad.headers.get("x-request-id")).toBe("made-up");
  });
});

describe("legacy sessions", () => {
  test("initialize opens a session; what follows needs its id", async () => {
    await using agents = await startAgents();
    const opened = await post(agents, initializeBody("2025-06-18"));
    expect(opened.status).toBe(200);
    expect(await opened.json()).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: {
        protocolVersion: "2025-06-18",
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          logging: {},
        },
        serverInfo: { name: "mcp-gateway", version: "0.0.0-test" },
        instructions: "Be kind.",
      },
    });
    const id = opened.headers.get("mcp-session-id") ?? "";
    expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const headers = { "mcp-session-id": id, "mcp-protocol-version": "2025-06-18" };
    const notified = await post(agents, '{"jsonrpc":"2.0","method":"notifications/initialized"}', {
      headers,
    });
    expect(notified.status).toBe(202);
    const called = await post(agents, legacyBody("tools/call", { name: "echo" }), { headers });
    expect(await called.json()).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: { content: [{ type: "text", text: "{}" }] },
    });
    expect(agents.dispatch.seen.map((one) => [one.era, one.message])).toMatchObject([
      ["legacy", { method: "server/discover", envelope: { revision: "2025-06-18" } }],
      ["legacy", { method: "tools/call", envelope: { revision: "2025-06-18" } }],
    ]);
  });

  test("a revision we do not speak is answered with our newest legacy one", async () => {
    await using agents = await startAgents();
    for (const revision of ["2026-07-28", "1999-01-01"]) {
      const response = await post(agents, initializeBody(revision));
      expect(await response.json()).toMatchObject({ result: { protocolVersion: "2025-11-25" } });
    }
  });

  test("AZ-08: without the session id nothing works, even while exactly one session is open", async () => {
    await using agents = await startAgents();
    await openSession(agents);
    const response = await post(agents, legacyBody("tools/list"));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ id: 1, error: { code: 40001 } });
  });

  test("AZ-05: unknown, foreign, other-scope and other-binding sessions are all unknown", async () => {
    await using agents = await startAgents();
    const id = await openSession(agents, "2025-11-25", { path: "/notes/mcp" });
    const headers = { "mcp-session-id": id };
    const answers = [
      await post(agents, legacyBody("ping"), { path: "/notes/mcp", token: "bob", headers }),
      await post(agents, legacyBody("ping"), { path: "/other/mcp", headers }),
      await post(agents, legacyBody("ping"), { path: `/notes/sse?sessionId=${id}` }),
      await post(agents, legacyBody("ping"), {
        path: "/notes/mcp",
        headers: { "mcp-session-id": "no-such-session" },
      }),
    ];
    const bodies = new Set<string>();
    for (const answer of answers) {
      expect(answer.status).toBe(404);
      bodies.add(await answer.text());
    }
    expect(bodies.size).toBe(1);
    const own = await post(agents, legacyBody("ping"), { path: "/notes/mcp", headers });
    expect(own.status).toBe(200);
    // A renewed token of the same principal keeps the session.
    const renewed = { path: "/notes/mcp", token: "alice2", headers };
    expect((await post(agents, legacyBody("ping"), renewed)).status).toBe(200);
    const wrong = { path: "/notes/mcp", token: "mallory", headers };
    expect((await post(agents, legacyBody("ping"), wrong)).status).toBe(401);
  });

  test("DELETE ends the session; afterwards it is unknown", async () => {
    await using agents = await startAgents();
    const headers = { "mcp-session-id": await openSession(agents) };
    const options = { method: "DELETE", headers: { authorization: "Bearer alice", ...headers } };
    expect((await fetch(`${agents.url}/mcp`, options)).status).toBe(204);
    expect((await post(agents, legacyBody("ping"), { headers })).status).toBe(404);
    expect(agents.listener.sessions.list()).toEqual([]);
  });

  test("one GET stream a session; a second one conflicts", async () => {
    await using agents = await startAgents();
    const id = await openSession(agents);
    const gone = new AbortController();
    const get = (signal?: AbortSignal) =>
      fetch(`${agents.url}/mcp`, {
        signal: signal ?? null,
        headers: {
          authorization: "Bearer alice",
          accept: "text/event-stream",
          "mcp-session-id": id,
        },
      });
    const first = await get(gone.signal);
    expect(first.status).toBe(200);
    expect((await get()).status).toBe(409);
    gone.abort();
    await until(async () => {
      const again = new AbortController();
      const response = await get(again.signal);
      again.abort();
      return response.status === 200;
    });
  });

  test("a comma list of versions counts as its first known one; none known is refused", async () => {
    await using agents = await startAgents();
    const id = await openSession(agents);
    const ping = (version: string) =>
      post(agents, legacyBody("ping"), {
        headers: { "mcp-session-id": id, "mcp-protocol-version": version },
      });
    expect((await ping("2025-11-25, 2025-06-18")).status).toBe(200);
    const refused = await ping("1999-01-01");
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("2025-11-25");
  });

  test("AZ-19: a batch is a 2025-03-26 thing: each message answered, as one array", async () => {
    await using agents = await startAgents();
    const batch = `[${legacyBody("ping", undefined, 1)},${legacyBody("tools/call", { name: "refuse" }, "two")},{"jsonrpc":"2.0","method":"notifications/initialized"},${legacyBody("initialize", {}, 4)},7]`;
    const old = { "mcp-session-id": await openSession(agents, "2025-03-26") };
    const response = await post(agents, batch, { headers: old });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject([
      { id: 1, result: {} },
      { id: "two", error: { code: 40301 } },
      { id: 4, error: { code: -32600 } },
      { error: { code: -32600 } },
    ]);
    const newer = { "mcp-session-id": await openSession(agents, "2025-06-18") };
    for (const headers of [newer, {}]) {
      const refused = await post(agents, batch, { headers });
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ error: { code: -32600 } });
    }
  });

  test("PR-08, PR-19: an id in flight is not taken twice; cancelling works within the session only", async () => {
    await using agents = await startAgents();
    const headers = { "mcp-session-id": await openSession(agents) };
    const others = { "mcp-session-id": await openSession(agents) };
    const waiting = post(agents, legacyBody("tools/call", { name: "wait" }, 5), { headers });
    await until(() => agents.dispatch.waiting() === 1);
    const twice = await post(agents, legacyBody("tools/list", {}, 5), { headers });
    expect(twice.status).toBe(400);
    expect(await twice.json()).toMatchObject({ error: { code: -32600 } });
    const cancel =
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5,"reason":"x"}}';
    expect((await post(agents, cancel, { headers: others })).status).toBe(202);
    expect(agents.dispatch.aborted).toEqual([]);
    const asText = cancel.replace('"requestId":5', '"requestId":"5"');
    expect((await post(agents, asText, { headers })).status).toBe(202);
    expect(agents.dispatch.aborted).toEqual([]);
    expect((await post(agents, cancel, { headers })).status).toBe(202);
    expect(agents.dispatch.aborted).toEqual(["5"]);
    expect(await (await waiting).text()).toBe("");
  });

  test("a legacy agent's dropped connection is not a cancellation", async () => {
    await using agents = await startAgents();
    const headers = { "mcp-session-id": await openSession(agents) };
    const gone = new AbortController();
    const call = post(agents, legacyBody("tools/call", { name: "wait" }), {
      headers,
      signal: gone.signal,
    });
    await until(() => agents.dispatch.waiting() === 1);
    gone.abort();
    await expect(call).rejects.toThrow();
    expect((await post(agents, legacyBody("ping", undefined, 2), { headers })).status).toBe(200);
    expect(agents.dispatch.aborted).toEqual([]);
    agents.dispatch.release();
  });

  test("resource not found has the code of the era; an unknown method stays in-band", async () => {
    await using agents = await startAgents();
    const headers = { "mcp-session-id": await openSession(agents) };
    const legacy = await post(agents, legacyBody("resources/read", { uri: "x:1" }), { headers });
    expect(await legacy.json()).toMatchObject({ error: { code: -32002, data: { uri: "x:1" } } });
    const modern = await postModern(agents, "resources/read", { uri: "x:1" });
    expect(await modern.json()).toMatchObject({ error: { code: -32602 } });
    const unknown = await post(agents, legacyBody("no/such"), { headers });
    expect(unknown.status).toBe(200);
    expect(await unknown.json()).toMatchObject({ error: { code: -32601 } });
  });

  test("sessions are bounded", async () => {
    await using agents = await startAgents({ sessionsMax: 1 });
    await openSession(agents);
    const response = await post(agents, initializeBody());
    expect(response.status).toBe(503);
    expect(response.headers.has("mcp-session-id")).toBe(false);
  });
});
