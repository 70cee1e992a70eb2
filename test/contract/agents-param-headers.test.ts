/** PR-13 over HTTP: `Mcp-Param-*` beside the body, by status and code; other transports have no such headers. */
import { expect, test } from "bun:test";
import { legacyBody, modernBody } from "../support/agents.ts";
import { clientOf, clientToken } from "../support/data-plane.ts";
import { within } from "../support/deadline.ts";
import { modernCall } from "../support/modern-agent.ts";
import { startPlaneGateway } from "../support/plane-gateway.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";

const region = { type: "string", "x-mcp-header": "Region" };
const weather = {
  name: "weather",
  tools: ["now"],
  schemas: { now: { type: "object", properties: { region } } },
};
const state = clientOf("ci", { allowedTools: ["*"] });
const token = clientToken("ci");
const params = { name: "now", arguments: { region: "s\u00fcd" } };
const start = () => startPlaneGateway([weather], state);

test.each([
  ["right", { "Mcp-Param-Region": "=?base64?c8O8ZA==?=" }, 200, undefined],
  ["wrong", { "Mcp-Param-Region": "nord" }, 400, "differs from the body"],
  ["raw bytes", { "Mcp-Param-Region": "s\u00fcd" }, 400, "has raw bytes"],
  ["bad base64", { "Mcp-Param-Region": "=?base64?c8O8ZA=?=" }, 400, "holds bad base64"],
  ["missing", {}, 400, "is missing"],
])("PR-13: %s", async (_what, headers, status, what) => {
  await using gateway = await start();
  const { base } = gateway;
  const call = { base, scope: "weather", token, method: "tools/call", params, id: "a", headers };
  const answer = await modernCall(call);
  expect(answer.status).toBe(status);
  if (what === undefined) return;
  expect(JSON.parse(answer.text)).toMatchObject({ id: "a", error: { code: -32020 } });
  expect(answer.error?.message).toContain(what);
  expect(gateway.plane.seen.filter((one) => one.includes("tools/call"))).toEqual([]);
});

test("a socket has no headers to compare", async () => {
  await using gateway = await start();
  const headers = { Authorization: `Bearer ${token}` };
  const upgrade = await openRawWebSocket({ base: gateway.base, path: "/weather/ws", headers });
  if ("refusal" in upgrade) throw new Error(`refused: ${upgrade.refusal.status}`);
  using socket = upgrade.webSocket;
  socket.sendText(modernBody("tools/call", params, 5));
  const answer = JSON.parse(String(await within("an answer", socket.next())));
  expect(answer).toMatchObject({ id: 5, result: { resultType: "complete" } });
});

test("a legacy session has none either", async () => {
  await using gateway = await start();
  const url = `${gateway.base}/weather/mcp`;
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    authorization: `Bearer ${token}`,
  };
  const clientInfo = { name: "t", version: "1" };
  const opening = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  const opened = await fetch(url, {
    method: "POST",
    headers,
    body: legacyBody("initialize", opening),
  });
  await opened.text();
  const session = { ...headers, "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const response = await fetch(url, {
    method: "POST",
    headers: session,
    body: legacyBody("tools/call", params),
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain("weather now");
});
