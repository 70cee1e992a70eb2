/** One-time WebSocket tickets: a browser's way in, on real sockets. */
import { expect, test } from "bun:test";
import { modernBody, startAgents, type TestAgents } from "../support/agents.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";

const origin = "https://app.example";

async function ask(agents: TestAgents, headers: Record<string, string>, scope = "all") {
  const url = `http://127.0.0.1:${agents.port}/${scope}/ws-ticket`;
  const response = await fetch(url, { method: "POST", headers });
  return { response, body: (await response.json()) as Record<string, unknown> };
}

/** The status of a refused upgrade, or the answer to one request on the socket. */
async function use(agents: TestAgents, path: string, headers: Record<string, string> = {}) {
  const base = `http://127.0.0.1:${agents.port}`;
  const upgraded = await openRawWebSocket({ base, path, headers });
  if ("refusal" in upgraded) return upgraded.refusal.status;
  using webSocket = upgraded.webSocket;
  webSocket.sendText(modernBody("tools/list", {}, 7));
  return JSON.parse(String(await webSocket.next())) as unknown;
}

test("TW-01: a browser exchanges its token for a ticket and connects with it, once", async () => {
  await using agents = await startAgents({ allowedOrigins: [origin] });
  const { response, body } = await ask(agents, { authorization: "Bearer alice", origin });
  expect(response.status).toBe(200);
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("access-control-allow-origin")).toBe(origin);
  expect(body).toMatchObject({ expiresInSeconds: 30, url: `/all/ws?ticket=${body.ticket}` });
  const path = String(body.url);
  expect(await use(agents, path, { Origin: origin })).toMatchObject({ id: 7, result: {} });
  expect(await use(agents, path, { Origin: origin })).toBe(401);
});

test("a ticket is refused in another scope, from another origin, beside a token, and where it is made up", async () => {
  await using agents = await startAgents({ allowedOrigins: [origin, "https://other.example"] });
  const path = async () =>
    String((await ask(agents, { authorization: "Bearer alice", origin })).body.url);
  expect(await use(agents, (await path()).replace("/all/", "/one/"), { Origin: origin })).toBe(401);
  expect(await use(agents, await path(), { Origin: "https://other.example" })).toBe(401);
  expect(await use(agents, await path())).toBe(401);
  const both = { Origin: origin, Authorization: "Bearer alice" };
  expect(await use(agents, await path(), both)).toBe(401);
  expect(await use(agents, "/all/ws?ticket=made-up", { Origin: origin })).toBe(401);
});

test("only who may use a scope gets a ticket for it, and only by POST", async () => {
  await using agents = await startAgents();
  expect((await ask(agents, {})).response.status).toBe(401);
  expect((await ask(agents, { authorization: "Bearer mallory" })).response.status).toBe(401);
  expect((await ask(agents, { authorization: "Bearer alice" }, "nowhere")).response.status).toBe(
    404,
  );
  const got = await fetch(`http://127.0.0.1:${agents.port}/all/ws-ticket`, {
    headers: { authorization: "Bearer alice" },
  });
  expect(got.status).toBe(405);
});
