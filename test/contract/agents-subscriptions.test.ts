/** What legacy agents hear of changes: list changes and resource subscriptions, over every binding. */
import { describe, expect, test } from "bun:test";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as HttpTransportV2,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { emptyFilter } from "../../src/protocol/listen-filter.ts";
import {
  initializeBody,
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
import { openSocketAgent } from "../support/socket-agent.ts";
import { createSocketTransport } from "../support/socket-transport.ts";

const headers = { authorization: "Bearer alice" };
const identity = { name: "test", version: "1" };

interface Place {
  readonly url: string;
  readonly port: number;
}

const transports: Readonly<Record<string, (place: Place) => Transport>> = {
  "streamable http": ({ url }) =>
    new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
  "http+sse": ({ url }) =>
    new SSEClientTransport(new URL(`${url}/all/sse`), {
      requestInit: { headers },
      eventSourceInit: {
        fetch: (input, init) =>
          fetch(input, { ...init, headers: { ...init?.headers, ...headers } }),
      },
    }),
  websocket: ({ port }) => createSocketTransport(`ws://127.0.0.1:${port}/ws`, headers),
};

function live(dispatch: AskingDispatch): readonly OpenListen[] {
  return dispatch.listens.filter((one) => !one.isOver);
}

for (const [name, createTransport] of Object.entries(transports)) {
  test(`SDK v1 over ${name}: list changes, subscriptions, and their end`, async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens));
    const { dispatch } = agents;
    const client = new Client(identity);
    const heard: string[] = [];
    client.setNotificationHandler(
      ToolListChangedNotificationSchema,
      () => void heard.push("tools"),
    );
    client.setNotificationHandler(
      PromptListChangedNotificationSchema,
      () => void heard.push("prompts"),
    );
    client.setNotificationHandler(
      ResourceListChangedNotificationSchema,
      () => void heard.push("resources"),
    );
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      heard.push(params.uri);
    });
    await client.connect(createTransport(agents));
    await until(() => live(dispatch).length === 1);
    const [first] = live(dispatch);
    expect(first?.filter).toEqual({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: [],
      taskIds: [],
    });
    first?.changed("notifications/tools/list_changed");
    first?.changed("notifications/prompts/list_changed");
    first?.changed("notifications/resources/list_changed");
    await until(() => heard.length === 3);
    expect(heard).toEqual(["tools", "prompts", "resources"]);

    await Promise.all(["a:1", "b:1"].map((uri) => client.subscribeResource({ uri })));
    await client.subscribeResource({ uri: "a:1" });
    expect(live(dispatch)).toHaveLength(2);
    const [lists, both] = live(dispatch);
    expect(lists).toBe(first as OpenListen);
    expect(both?.filter).toEqual({ ...emptyFilter, resourceSubscriptions: ["a:1", "b:1"] });
    both?.changed("notifications/resources/updated", { uri: "b:1" });
    await until(() => heard.length === 4);
    expect(heard.at(-1)).toBe("b:1");

    await client.unsubscribeResource({ uri: "a:1" });
    await client.unsubscribeResource({ uri: "never" });
    const [, one] = live(dispatch);
    expect(live(dispatch)).toHaveLength(2);
    expect(one?.filter).toEqual({ ...emptyFilter, resourceSubscriptions: ["b:1"] });
    expect(dispatch.listens).toHaveLength(4);
    await client.unsubscribeResource({ uri: "b:1" });
    expect(live(dispatch)).toEqual([first as OpenListen]);
    await client.subscribeResource({ uri: "b:1" });
    expect(live(dispatch)).toHaveLength(2);
    expect(dispatch.listens.map(({ incoming }) => incoming.sessionId)).toEqual(
      Array.from(dispatch.listens, () => agents.listener.sessions.list()[0]?.id),
    );
    if (name === "streamable http") {
      agents.listener.sessions.end(agents.listener.sessions.list()[0]?.id ?? "");
    }
    await client.close();
    await until(() => live(dispatch).length === 0);
  });
}

test("SDK v2, legacy: list changes and subscriptions", async () => {
  await using agents = await startAgentsOver(createAskingDispatch(testTokens));
  const client = new ClientV2(identity, { versionNegotiation: { mode: "legacy" } });
  const heard: string[] = [];
  client.setNotificationHandler("notifications/tools/list_changed", () => void heard.push("tools"));
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
    heard.push(params.uri);
  });
  await client.connect(
    new HttpTransportV2(new URL(`${agents.url}/mcp`), { requestInit: { headers } }),
  );
  await until(() => live(agents.dispatch).length === 1);
  live(agents.dispatch)[0]?.changed("notifications/tools/list_changed");
  await client.subscribeResource({ uri: "a:1" });
  live(agents.dispatch)[1]?.changed("notifications/resources/updated", { uri: "a:1" });
  await until(() => heard.length === 2);
  expect(heard).toEqual(["tools", "a:1"]);
  await client.close();
});

test("a lost listen is opened again with the token the client uses by now", async () => {
  const dispatch = createAskingDispatch(testTokens);
  await using agents = await startAgentsOver(dispatch);
  const id = await openSession(agents);
  const send = (body: string, token: string) =>
    post(agents, body, { token, headers: { "mcp-session-id": id } });
  const stop = new AbortController();
  const stream = await fetch(`${agents.url}/mcp`, {
    headers: { ...headers, accept: "text/event-stream", "mcp-session-id": id },
    signal: stop.signal,
  });
  expect(stream.status).toBe(200);
  await send(legacyBody("ping"), "alice");
  expect(dispatch.listens).toHaveLength(0);
  await send('{"jsonrpc":"2.0","method":"notifications/initialized"}', "alice");
  await until(() => dispatch.listens.length === 1);
  await send(legacyBody("ping"), "alice2");
  dispatch.listens[0]?.end();
  await until(() => dispatch.listens.length === 2);
  expect(dispatch.listens.map(({ incoming }) => incoming.credential)).toEqual([
    { kind: "bearer", token: "alice" },
    { kind: "bearer", token: "alice2" },
  ]);
  stop.abort();
});

test("Streamable HTTP without a reader: no listen until it subscribes, initialized or not", async () => {
  const dispatch = createAskingDispatch(testTokens);
  await using agents = await startAgentsOver(dispatch);
  const id = await openSession(agents);
  const send = (body: string) => post(agents, body, { headers: { "mcp-session-id": id } });
  await send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  await send(legacyBody("ping"));
  expect(dispatch.listens).toHaveLength(0);
  const subscribed = await send(legacyBody("resources/subscribe", { uri: "a:1" }));
  expect(await subscribed.json()).toMatchObject({ result: {} });
  expect(dispatch.listens.map(({ filter }) => filter)).toEqual([
    { ...emptyFilter, resourceSubscriptions: ["a:1"] },
  ]);
});

test("a listen is no request of the older revisions, also without a session", async () => {
  await using agents = await startAgentsOver(createAskingDispatch(testTokens));
  const body = legacyBody("subscriptions/listen", { notifications: { toolsListChanged: true } });
  const response = await post(agents, body, { path: "/all/sse" });
  expect(await response.json()).toMatchObject({ error: { code: -32601 } });
  const opened = await post(agents, initializeBody(), { path: "/all/sse" });
  const { result } = (await opened.json()) as { result: { capabilities: object } };
  expect(result.capabilities).toEqual({ tools: {}, resources: {}, logging: {} });
});

describe("on the wire", () => {
  async function openSocket(dispatch: AskingDispatch) {
    const agents = await startAgentsOver(dispatch, { subscriptionsPerSessionMax: 2 });
    const agent = await openSocketAgent(agents);
    return {
      ...agent,
      [Symbol.asyncDispose]: async () => {
        agent.close();
        await agents[Symbol.asyncDispose]();
      },
    };
  }

  test("notices have no subscription id, and keep everything else", async () => {
    const dispatch = createAskingDispatch(testTokens);
    await using agent = await openSocket(dispatch);
    expect(dispatch.listens).toHaveLength(0);
    agent.initialized();
    await until(() => dispatch.listens.length === 1);
    const [one] = dispatch.listens;
    one?.changed("notifications/tools/list_changed");
    one?.changed("notifications/resources/updated", { uri: "a:1", title: "A" });
    one?.changed("notifications/tasks", { taskId: "t" });
    await until(() => agent.received.length === 2);
    expect(agent.received).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1","title":"A"}}',
    ]);
  });

  test("the new listen is there before the old one goes, and what both bring is told once", async () => {
    const dispatch = createAskingDispatch(testTokens);
    await using agent = await openSocket(dispatch);
    await agent.answer("resources/subscribe", { uri: "a:1" }, 6);
    dispatch.acknowledgesAtOnce = false;
    agent.send(legacyBody("resources/subscribe", { uri: "b:1" }, 7));
    await until(() => dispatch.listens.length === 2);
    const [old, next] = dispatch.listens;
    const updated = (listen: OpenListen | undefined, uri: string) =>
      listen?.changed("notifications/resources/updated", { uri });
    expect(old?.isOver).toBe(false);
    updated(old, "a:1");
    await until(() => agent.received.length === 1);
    next?.acknowledge();
    updated(next, "a:1");
    updated(next, "b:1");
    expect(old?.isOver).toBe(true);
    updated(old, "a:2");
    await until(() => agent.received.length === 3);
    // What comes later is news, whatever was told before.
    updated(next, "a:1");
    await until(() => agent.received.length === 4);
    const told = agent.received.map((text) => JSON.parse(text));
    expect(told.map(({ id, params }) => id ?? params.uri)).toEqual(["a:1", "b:1", 7, "a:1"]);
  });

  test("a resource listen that is being opened leaves the list changes alone", async () => {
    const dispatch = createAskingDispatch(testTokens);
    await using agent = await openSocket(dispatch);
    agent.initialized();
    await until(() => dispatch.listens.length === 1);
    const [lists] = dispatch.listens;
    dispatch.acknowledgesAtOnce = false;
    const answer = agent.answer("resources/subscribe", { uri: "a:1" }, 7);
    await until(() => dispatch.listens.length === 2);
    dispatch.listens[1]?.acknowledge();
    // It was on its way all the while.
    lists?.changed("notifications/tools/list_changed");
    expect(await answer).toMatchObject({ result: {} });
    await until(() => agent.received.length === 1);
    expect(agent.received).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    ]);
  });

  test("subscriptions at the same time come to one filter, one after the other", async () => {
    const dispatch = createAskingDispatch(testTokens);
    dispatch.acknowledgesAtOnce = false;
    await using agent = await openSocket(dispatch);
    const answers = [1, 2].map((id) => agent.answer("resources/subscribe", { uri: `a:${id}` }, id));
    await until(() => dispatch.listens.length === 1);
    dispatch.listens[0]?.acknowledge();
    await until(() => dispatch.listens.length === 2);
    expect(dispatch.listens[1]?.filter.resourceSubscriptions).toEqual(["a:1", "a:2"]);
    dispatch.listens[1]?.acknowledge();
    expect(await Promise.all(answers)).toMatchObject([{ result: {} }, { result: {} }]);
  });

  test("a resource nobody tells of, a missing uri, one too many, and no listens at all", async () => {
    const dispatch = createAskingDispatch(testTokens);
    await using agent = await openSocket(dispatch);
    agent.initialized();
    await until(() => dispatch.listens.length === 1);
    dispatch.acknowledgesAtOnce = false;
    const refused = agent.answer("resources/subscribe", { uri: "a:1" }, 2);
    await until(() => dispatch.listens.length === 2);
    dispatch.listens[1]?.acknowledge([]);
    expect(await refused).toMatchObject({ error: { code: -32602 } });
    expect(live(dispatch)).toEqual([dispatch.listens[0] as OpenListen]);
    dispatch.acknowledgesAtOnce = true;
    expect(await agent.answer("resources/subscribe", { uri: 5 }, 3)).toMatchObject({
      error: { code: -32602 },
    });
    expect(await agent.answer("resources/subscribe", { uri: "a:1" }, 4)).toMatchObject({
      result: {},
    });
    expect(await agent.answer("resources/subscribe", { uri: "b:1" }, 5)).toMatchObject({
      result: {},
    });
    const full = await agent.answer("resources/subscribe", { uri: "c:1" }, 6);
    expect(full.error).toMatchObject({ code: -32602, message: expect.stringContaining("2") });
    dispatch.hasListens = false;
    await agent.answer("resources/unsubscribe", { uri: "b:1" }, 7);
    expect(live(dispatch)).toEqual([dispatch.listens[0] as OpenListen]);
    expect(await agent.answer("resources/subscribe", { uri: "c:1" }, 8)).toMatchObject({
      error: { code: -32601 },
    });
    expect(await agent.answer("subscriptions/listen", { notifications: {} }, 9)).toMatchObject({
      error: { code: -32601 },
    });
  });

  test("a listen that ends is opened again, and all of it is told as changed", async () => {
    const dispatch = createAskingDispatch(testTokens);
    await using agent = await openSocket(dispatch);
    agent.initialized();
    await agent.answer("resources/subscribe", { uri: "a:1" }, 2);
    for (const listen of live(dispatch)) listen.end();
    await until(() => live(dispatch).length === 2);
    const uris = live(dispatch).flatMap(({ filter }) => filter.resourceSubscriptions);
    expect(uris).toEqual(["a:1"]);
    await until(() => agent.received.length === 4);
    expect(agent.received.toSorted()).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}',
      '{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}',
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}',
      '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    ]);
  });

  test("a subscription while the next listen is waited for brings what was missed", async () => {
    const dispatch = createAskingDispatch(testTokens);
    await using agent = await openSocket(dispatch);
    await agent.answer("resources/subscribe", { uri: "a:1" }, 2);
    live(dispatch)[0]?.end();
    await agent.answer("resources/subscribe", { uri: "b:1" }, 3);
    expect(agent.received).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}',
    ]);
  });

  test("a gateway without listens leaves the session without notices, and asks once", async () => {
    const dispatch = createAskingDispatch(testTokens);
    dispatch.hasListens = false;
    await using agent = await openSocket(dispatch);
    agent.initialized();
    const listensSeen = () =>
      dispatch.seen.filter(
        ({ message }) => message.kind === "request" && message.method === "subscriptions/listen",
      ).length;
    await until(() => listensSeen() === 1);
    await agent.answer("ping", {}, 2);
    expect(listensSeen()).toBe(1);
  });
});
