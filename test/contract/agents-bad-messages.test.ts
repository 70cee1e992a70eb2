/** Messages that are none, on every binding alike: same code, not run, and the connection lives on. */
import { describe, expect, test } from "bun:test";
import {
  eventsOf,
  legacyBody,
  openSession,
  post,
  startAgents,
  type TestAgents,
  until,
} from "../support/agents.ts";

const call = (more: string) => `{"jsonrpc":"2.0","id":1,"method":"tools/list"${more}}`;
const deep = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;

const rows: readonly [string, string, number][] = [
  ["PR-01 member twice", call(',"method":"ping"'), -32600],
  ["PR-01 member twice, escaped", call(',"m\\u0065thod":"ping"'), -32600],
  ["PR-01 twice, deep inside", call(',"params":{"arguments":{"a":[{"b":1,"b":2}]}}'), -32600],
  ["PR-03 case twin", call(',"Method":"ping"'), -32600],
  ["PR-03 Kelvin twin in params", call(',"params":{"toKen":1,"cursoR":"x"}'), -32600],
  ["PR-05 too deep", call(`,"params":${deep(65)}`), -32600],
  ["PR-05 far too deep", call(`,"params":${deep(100_000)}`), -32600],
  ["PR-06 too many values", call(`,"params":{"a":[${"1,".repeat(100_001)}1]}`), -32600],
  ["PR-07 fraction as id", call("").replace('"id":1', '"id":1.5'), -32600],
  ["PR-07 exponent as id", call("").replace('"id":1', '"id":1e2'), -32600],
  ["PR-08 null id", call("").replace('"id":1', '"id":null'), -32600],
  ["PR-08 empty id", call("").replace('"id":1', '"id":""'), -32600],
  ["PR-08 long id", call("").replace('"id":1', `"id":"${"x".repeat(257)}"`), -32600],
  ["PR-08 object as id", call("").replace('"id":1', '"id":{}'), -32600],
  ["PR-10 trailing text", `${call("")}x`, -32700],
  ["PR-10 two documents", call("") + call(""), -32700],
  ["PR-10 a comment", `/* */${call("")}`, -32700],
  ["PR-10 NaN", call(',"params":{"a":NaN}'), -32700],
  ["PR-10 single quotes", "{'jsonrpc':'2.0'}", -32700],
  ["PR-10 white space only", " \n ", -32700],
  ["PR-11 number as version", call("").replace('"2.0"', "2.0"), -32600],
  ["PR-11 no version", '{"id":1,"method":"tools/list"}', -32600],
  ["PR-11 result and method", call(',"result":{}'), -32600],
  ["PR-17 params as array", call(',"params":[1]'), -32600],
  ["TW-09 an array", `[${call("")}]`, -32600],
];

/** Sends one message within a session of the binding and gives back the code it was answered with. */
type Binding = (agents: TestAgents) => Promise<(text: string) => Promise<number>>;

const bindings: Readonly<Record<string, Binding>> = {
  "streamable http": async (agents) => {
    const headers = { "mcp-session-id": await openSession(agents) };
    return async (text) => codeOf(await (await post(agents, text, { headers })).text());
  },
  "http+sse": async (agents) => {
    const response = await fetch(`${agents.url}/all/sse`, {
      headers: { authorization: "Bearer alice", accept: "text/event-stream" },
    });
    const path = (await eventsOf(response).next()).value?.text ?? "";
    return async (text) => codeOf(await (await post(agents, text, { path })).text());
  },
  websocket: async (agents) => {
    const socket = new WebSocket(`ws://127.0.0.1:${agents.port}/ws`, {
      headers: { authorization: "Bearer alice" },
    });
    const received: string[] = [];
    socket.onmessage = (event) => received.push(String(event.data));
    await until(() => socket.readyState === WebSocket.OPEN);
    return async (text) => {
      const before = received.length;
      socket.send(text);
      await until(() => received.length > before);
      return codeOf(received.at(-1) ?? "");
    };
  },
};

function codeOf(text: string): number {
  const { error } = JSON.parse(text);
  return error === undefined ? 0 : error.code;
}

for (const [name, open] of Object.entries(bindings)) {
  describe(name, () => {
    test(`${rows.length} bad messages, each refused with its code, none of them run`, async () => {
      await using agents = await startAgents();
      const send = await open(agents);
      const before = agents.dispatch.seen.length;
      for (const [row, text, code] of rows) expect([row, await send(text)]).toEqual([row, code]);
      const seen = agents.dispatch.seen.slice(before);
      expect(seen.map((one) => one.message.kind)).toEqual(rows.map(() => "malformed"));
    });
  });
}

test("PR-02: prototype names are plain text to us", async () => {
  await using agents = await startAgents();
  const text = legacyBody("tools/list").replace(
    "}",
    ',"params":{"__proto__":{"x":1},"constructor":1}}',
  );
  const headers = { accept: "application/json" };
  const response = await post(agents, text, { path: "/all/sse", headers });
  expect(response.status).toBe(200);
  const { message } = agents.dispatch.seen[0]!;
  expect(message.kind === "request" && message.params?.text).toBe(text);
});
