/** List changes for many legacy agents at once: who shares a listen, who does not, and what each hears. */
import { expect, test } from "bun:test";
import {
  legacyBody,
  openSession,
  post,
  startAgentsOver,
  testTokens,
  until,
} from "../support/agents.ts";
import {
  type AskingDispatch,
  createAskingDispatch,
  type OpenListen,
} from "../support/asking-dispatch.ts";
import { openSocketAgent, type SocketAgent } from "../support/socket-agent.ts";

const notice = (kind: string) => `{"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"}`;
const toolsChanged = "notifications/tools/list_changed";
const allChanged = ["tools", "prompts", "resources"].map(notice);

function live(dispatch: AskingDispatch): readonly OpenListen[] {
  return dispatch.listens.filter((one) => !one.isOver);
}

test("sessions of one client share a listen, on every binding, until the last has left", async () => {
  const dispatch = createAskingDispatch(testTokens);
  await using agents = await startAgentsOver(dispatch);
  const first = await openSocketAgent(agents);
  const second = await openSocketAgent(agents);
  first.initialized();
  await until(() => dispatch.listens.length === 1);
  second.initialized();
  const id = await openSession(agents);
  const send = (body: string) => post(agents, body, { headers: { "mcp-session-id": id } });
  const stop = new AbortController();
  const stream = await fetch(`${agents.url}/mcp`, {
    headers: {
      authorization: "Bearer alice",
      accept: "text/event-stream",
      "mcp-session-id": id,
    },
    signal: stop.signal,
  });
  await send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  await second.answer("ping", {}, 2);
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  dispatch.listens[0]?.changed(toolsChanged);
  await until(() => first.received.length === 1 && second.received.length === 1);
  let read = "";
  while (!read.includes(notice("tools"))) read += (await reader?.read())?.value ?? "";

  first.close();
  stop.abort();
  await until(() => agents.listener.sessions.list().length === 2);
  dispatch.listens[0]?.changed(toolsChanged);
  await until(() => second.received.length === 2);
  expect(first.received).toEqual([notice("tools")]);
  expect(dispatch.listens).toHaveLength(1);

  // The listen waits a little for who comes next.
  second.close();
  for (const session of agents.listener.sessions.list()) agents.listener.sessions.end(session.id);
  await until(() => agents.listener.sessions.list().length === 0);
  await using third = await openSocketAgent(agents);
  third.initialized();
  await third.answer("ping", {}, 2);
  live(dispatch)[0]?.changed(toolsChanged);
  await until(() => third.received.length === 1);
  expect(dispatch.listens).toHaveLength(1);
  third.close();
  await until(() => live(dispatch).length === 0);
  expect(dispatch.listens).toHaveLength(1);
});

test("another credential, scope or origin has a listen of its own", async () => {
  const dispatch = createAskingDispatch(testTokens);
  await using agents = await startAgentsOver(dispatch, { allowedOrigins: ["https://app.test"] });
  const kinds = [
    {},
    { token: "alice2" },
    { token: "bob" },
    { scope: "notes" },
    { headers: { origin: "https://app.test" } },
  ];
  const opened = await Promise.all(kinds.map((kind) => openSocketAgent(agents, kind)));
  for (const [at, agent] of opened.entries()) {
    agent.initialized();
    await until(() => dispatch.listens.length === at + 1);
  }
  for (const [at, listen] of dispatch.listens.entries()) {
    listen.changed(toolsChanged);
    await until(() => opened[at]?.received.length === 1);
  }
  // An answer comes after everything that was told before it.
  await Promise.all(opened.map((agent) => agent.answer("ping", {}, 2)));
  expect(opened.map(({ received }) => received)).toEqual(kinds.map(() => [notice("tools")]));
  for (const agent of opened) agent.close();
});

test("a lost listen is opened once for all, and all are told of everything", async () => {
  const dispatch = createAskingDispatch(testTokens);
  await using agents = await startAgentsOver(dispatch);
  await using first = await openSocketAgent(agents);
  await using second = await openSocketAgent(agents);
  for (const agent of [first, second]) {
    agent.initialized();
    await agent.answer("ping", {}, 2);
  }
  dispatch.listens[0]?.end();
  await until(() => first.received.length === 3 && second.received.length === 3);
  expect([first.received, second.received]).toEqual([allChanged, allChanged]);
  expect(dispatch.listens).toHaveLength(2);
  const opener = agents.listener.sessions.list()[1]?.id;
  expect(live(dispatch)[0]?.incoming.sessionId).toBe(opener);
});

test("who shows another credential by then has the next listen with that, and misses nothing", async () => {
  const dispatch = createAskingDispatch(testTokens);
  await using agents = await startAgentsOver(dispatch);
  await using stays = await openSocketAgent(agents);
  stays.initialized();
  await until(() => dispatch.listens.length === 1);
  const id = await openSession(agents);
  const send = (body: string, token: string) =>
    post(agents, body, { token, headers: { "mcp-session-id": id } });
  const stop = new AbortController();
  const stream = await fetch(`${agents.url}/mcp`, {
    headers: { authorization: "Bearer alice", accept: "text/event-stream", "mcp-session-id": id },
    signal: stop.signal,
  });
  await send('{"jsonrpc":"2.0","method":"notifications/initialized"}', "alice");
  await send(legacyBody("ping"), "alice2");
  expect(dispatch.listens).toHaveLength(1);
  dispatch.listens[0]?.end();
  await until(() => dispatch.listens.length === 3);
  expect(live(dispatch).map(({ incoming }) => incoming.credential)).toEqual([
    { kind: "bearer", token: "alice2" },
    { kind: "bearer", token: "alice" },
  ]);
  await until(() => stays.received.length === 3);
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let read = "";
  while (!allChanged.every((text) => read.includes(text))) {
    read += (await reader?.read())?.value ?? "";
  }
  stop.abort();
});

test("1,500 idle sockets of one client hear a list change by one listen", async () => {
  const dispatch = createAskingDispatch(testTokens);
  const count = 1_500;
  const most = { connectionsMax: 2_000, connectionsPerPeerMax: 2_000 };
  const sessionsMost = { sessionsMax: 2_000, sessionsPerPrincipalMax: 2_000 };
  await using agents = await startAgentsOver(dispatch, { ...most, ...sessionsMost });
  const opened: SocketAgent[] = [];
  while (opened.length < count) {
    const batch = Array.from({ length: 50 }, () => openSocketAgent(agents));
    opened.push(...(await Promise.all(batch)));
  }
  for (const agent of opened) agent.initialized();
  await opened.at(-1)?.answer("ping", {}, 2);
  await until(() => dispatch.listens.length === 1);
  dispatch.listens[0]?.changed(toolsChanged);
  // Both come while the first is still being told; some have heard of the tools already, and that is not enough.
  dispatch.listens[0]?.changed("notifications/prompts/list_changed");
  dispatch.listens[0]?.changed(toolsChanged);
  const heard = ["tools", "prompts", "tools"].map(notice);
  await until(() => opened.every(({ received }) => received.length === heard.length));
  expect(opened.every(({ received }) => received.join() === heard.join())).toBe(true);
  expect(dispatch.listens).toHaveLength(1);
  for (const agent of opened) agent.close();
});
