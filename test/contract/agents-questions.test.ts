/** Questions of servers to legacy agents: real requests to the client, over every binding, with SDK clients and raw. */
import { describe, expect, test } from "bun:test";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as HttpTransportV2,
  SSEClientTransport as SseTransportV2,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CreateMessageRequestSchema,
  ElicitationCompleteNotificationSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { createFault } from "../../src/errors/fault.ts";
import { findMember, objectText } from "../../src/protocol/json-view.ts";
import type { McpRequest } from "../../src/protocol/messages.ts";
import {
  eventsOf,
  legacyBody,
  openSession,
  post,
  startAgents,
  startAgentsOver,
  type TestAgents,
  testTokens,
  until,
} from "../support/agents.ts";
import { type AskingDispatch, createAskingDispatch } from "../support/asking-dispatch.ts";
import { createSocketTransport } from "../support/socket-transport.ts";

const headers = { authorization: "Bearer alice" };
const identity = { name: "test", version: "1" };
const eventSourceInit = {
  fetch: (input: string | URL, init: RequestInit = {}) =>
    fetch(input, { ...init, headers: { ...(init.headers as object), ...headers } }),
};

const transportsV1: Readonly<Record<string, (agents: TestAgents) => Transport>> = {
  "streamable http": ({ url }) =>
    new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
  "http+sse": ({ url }) =>
    new SSEClientTransport(new URL(`${url}/all/sse`), {
      requestInit: { headers },
      eventSourceInit,
    }),
  websocket: ({ port }) => createSocketTransport(`ws://127.0.0.1:${port}/ws`, headers),
};
const transportsV2 = {
  "streamable http": ({ url }: TestAgents) =>
    new HttpTransportV2(new URL(`${url}/mcp`), { requestInit: { headers } }),
  "http+sse": ({ url }: TestAgents) =>
    new SseTransportV2(new URL(`${url}/all/sse`), { requestInit: { headers }, eventSourceInit }),
  websocket: ({ port }: TestAgents) => createSocketTransport(`ws://127.0.0.1:${port}/ws`, headers),
};

const form = {
  method: "elicitation/create",
  params: {
    message: "Your name?",
    requestedSchema: { type: "object", properties: { name: { type: "string" } } },
  },
};
const link = {
  method: "elicitation/create",
  params: { mode: "url", message: "Log in", url: "https://login.example/" },
};
const sample = {
  method: "sampling/createMessage",
  params: {
    messages: [{ role: "user", content: { type: "text", text: "Hi" } }],
    maxTokens: 5,
  },
};
const roots = { method: "roots/list" };
const everything = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
};

function ask(inputRequests: object, requestState?: string): object {
  return { resultType: "input_required", inputRequests, requestState };
}

function memberOf(request: McpRequest | undefined, key: string): unknown {
  return JSON.parse(request?.params === undefined ? "{}" : objectText(request.params))[key];
}

/** Form and roots at once, then sampling, then a pause without a question, then a link. */
function rounds(round: number): object {
  switch (round) {
    case 0:
      return ask({ who: form, where: roots }, "s\u00e9 1");
    case 1:
      return ask({ think: sample });
    case 2:
      return { resultType: "input_required", requestState: "later" };
    case 3:
      return ask({ "log in": link }, "s4");
    default:
      return { content: [{ type: "text", text: `round ${round}` }], resultType: "complete" };
  }
}

function expectRounds(dispatch: AskingDispatch): void {
  expect(dispatch.rounds.map((one) => memberOf(one, "inputResponses"))).toEqual([
    undefined,
    {
      who: expect.objectContaining({ action: "accept", content: { name: "Ann" } }),
      where: expect.objectContaining({ roots: [{ uri: "file:///home" }] }),
    },
    { think: expect.objectContaining({ role: "assistant", model: "m" }) },
    undefined,
    { "log in": expect.objectContaining({ action: "accept" }) },
  ]);
  expect(dispatch.rounds.map((one) => memberOf(one, "requestState"))).toEqual([
    undefined,
    "s\u00e9 1",
    undefined,
    "later",
    "s4",
  ]);
  const [first] = dispatch.rounds;
  for (const one of dispatch.rounds) {
    expect(one.idText).toBe(first?.idText ?? "");
    expect(one.envelope.progressTokenText).toBe(first?.envelope.progressTokenText);
    expect(memberOf(one, "arguments")).toEqual({ a: 1 });
    expect(JSON.parse(one.envelope.clientCapabilitiesText)).toEqual({ ...everything, roots: {} });
  }
}

const said = { role: "assistant", model: "m", content: { type: "text", text: "Hello" } } as const;
const home = { roots: [{ uri: "file:///home" }] };

for (const [name, createTransport] of Object.entries(transportsV1)) {
  test(`SDK v1 over ${name}: every kind of question, in several rounds, is one call to the agent`, async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, rounds));
    const client = new Client(identity, { capabilities: everything });
    const completed: string[] = [];
    const elicitationIds: unknown[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      if (params.mode !== "url") return { action: "accept", content: { name: "Ann" } };
      elicitationIds.push(params.elicitationId);
      return { action: "accept" };
    });
    client.setRequestHandler(CreateMessageRequestSchema, () => said);
    client.setRequestHandler(ListRootsRequestSchema, () => home);
    client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => {
      completed.push(params.elicitationId);
    });
    await client.connect(createTransport(agents));
    const result = await client.callTool({ name: "ask", arguments: { a: 1 } }, undefined, {
      onprogress: () => {},
    });
    expect(result).toEqual({ content: [{ type: "text", text: "round 4" }] });
    expectRounds(agents.dispatch);
    expect(completed).toEqual(elicitationIds as string[]);
    expect(completed).toHaveLength(1);
    await client.close();
  });
}

for (const [name, createTransport] of Object.entries(transportsV2)) {
  test(`SDK v2, legacy, over ${name}: every kind of question, in several rounds`, async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, rounds));
    const client = new ClientV2(identity, {
      capabilities: everything,
      versionNegotiation: { mode: "legacy" },
    });
    client.setRequestHandler("elicitation/create", ({ params }) =>
      params.mode === "url" ? { action: "accept" } : { action: "accept", content: { name: "Ann" } },
    );
    client.setRequestHandler("sampling/createMessage", () => said);
    client.setRequestHandler("roots/list", () => home);
    await client.connect(createTransport(agents));
    const result = await client.callTool({ name: "ask", arguments: { a: 1 } });
    expect(result).toEqual({ content: [{ type: "text", text: "round 4" }] });
    expectRounds(agents.dispatch);
    await client.close();
  });
}

describe("on the wire", () => {
  const question = '{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":';

  async function call(agents: TestAgents, session: string, id: number | string = "c") {
    const body = legacyBody("tools/call", { name: "ask", arguments: {} }, id);
    const response = await post(agents, body, { headers: { "mcp-session-id": session } });
    return messagesOf(response);
  }

  /** The next message of an event stream, without the events that carry none. */
  function messagesOf(response: Response) {
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const events = eventsOf(response);
    return async (): Promise<string | undefined> => {
      for (;;) {
        const { value, done } = await events.next();
        if (done) return undefined;
        if (value.text !== "") return value.text;
      }
    };
  }

  async function answer(
    agents: TestAgents,
    session: string,
    body: object | string,
    token?: string,
  ) {
    const text = typeof body === "string" ? body : JSON.stringify({ jsonrpc: "2.0", ...body });
    const response = await post(agents, text, {
      headers: { "mcp-session-id": session },
      ...(token && { token }),
    });
    await response.text();
    return response.status;
  }

  const done = { content: [{ type: "text", text: "done" }] };
  const withdrawn = { k: { "mcp-gateway/withdrawn": true } };
  const onceAsked = (request: object) => (round: number) =>
    round === 0 ? ask({ k: request }, "s") : done;

  test("the question stands on the stream of its call, its bytes as they came, and the answer goes back as it came", async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, onceAsked(form)));
    const session = await openSession(agents, "2025-06-18", { capabilities: { elicitation: {} } });
    const next = await call(agents, session);
    expect(await next()).toBe(`${question}${JSON.stringify(form.params)}}`);
    const result = '{ "action" : "accept", "content":{"big":12345678901234567890} }';
    const unknown = '{"jsonrpc":"2.0","id":99,"result":{}}';
    expect(await answer(agents, session, unknown)).toBe(202);
    expect(await answer(agents, session, unknown.replace("99", '"1"'))).toBe(202);
    expect(await answer(agents, session, unknown, "bob")).toBe(404);
    expect(agents.dispatch.rounds).toHaveLength(1);
    const body = `{"jsonrpc":"2.0","id":1,"result":${result}}`;
    expect(await answer(agents, session, body)).toBe(202);
    expect(await next()).toBe(
      '{"jsonrpc":"2.0","id":"c","result":{"content":[{"type":"text","text":"done"}]}}',
    );
    expect(await next()).toBeUndefined();
    expect(agents.dispatch.rounds[1]?.params?.text).toBe(
      `{"name":"ask","arguments":{},"inputResponses":{"k":${result}},"requestState":"s"}`,
    );
    // A second answer is to nothing; the next question has an id of its own.
    expect(await answer(agents, session, body)).toBe(202);
    expect(agents.dispatch.rounds).toHaveLength(2);
  });

  test("the form of 2025-06-18 has no mode, that of 2025-11-25 keeps it", async () => {
    const params = { mode: "form", ...form.params };
    for (const revision of ["2025-06-18", "2025-11-25"]) {
      const script = onceAsked({ ...form, params });
      await using agents = await startAgentsOver(createAskingDispatch(testTokens, script));
      const session = await openSession(agents, revision, { capabilities: everything });
      const next = await call(agents, session);
      const asked = JSON.parse((await next()) ?? "").params;
      expect(asked).toEqual(revision === "2025-06-18" ? form.params : params);
      await answer(agents, session, { id: 1, result: { action: "decline" } });
      await next();
    }
  });

  const declared: readonly [string, string, object, object][] = [
    ["2024-11-05 has no elicitation", "2024-11-05", everything, { sampling: {}, roots: {} }],
    [
      "2025-06-18 has the form alone",
      "2025-06-18",
      { elicitation: {}, sampling: { tools: {} } },
      { elicitation: { form: {} }, sampling: {} },
    ],
    [
      "an empty elicitation of 2025-11-25 is the form",
      "2025-11-25",
      { elicitation: {}, tasks: { list: {} }, experimental: { x: {} } },
      { elicitation: { form: {} }, experimental: { x: {} } },
    ],
    [
      "extensions pass but for tasks and skills",
      "2025-11-25",
      {
        extensions: {
          "io.modelcontextprotocol/ui": { a: 1 },
          "io.modelcontextprotocol/tasks": {},
          "io.modelcontextprotocol/skills": {},
        },
        sampling: { tools: {}, context: {} },
      },
      {
        extensions: { "io.modelcontextprotocol/ui": { a: 1 } },
        sampling: { tools: {}, context: {} },
      },
    ],
  ];
  for (const [title, revision, given, told] of declared) {
    test(`what servers are told of the client: ${title}`, async () => {
      await using agents = await startAgentsOver(createAskingDispatch(testTokens, () => done));
      const session = await openSession(agents, revision, { capabilities: given });
      await post(agents, legacyBody("tools/call", { name: "ask" }), {
        headers: { "mcp-session-id": session },
      });
      const [request] = agents.dispatch.rounds;
      expect(JSON.parse(request?.envelope.clientCapabilitiesText ?? "")).toEqual(told);
    });
  }

  const refusals: readonly [string, object, object][] = [
    ["sampling", sample, { sampling: {} }],
    ["roots", roots, { roots: {} }],
  ];
  for (const [title, request, capabilities] of refusals) {
    test(`a client's refusal of ${title} goes inside as it came; a server that cannot take it ends the call`, async () => {
      const refused = createFault("missing-client-capability", "The client refused: No");
      await using agents = await startAgentsOver(
        createAskingDispatch(testTokens, (_round, { params }) =>
          params !== undefined && findMember(params, "inputResponses")
            ? { kind: "fault", fault: refused }
            : ask({ k: request, other: request }, "s"),
        ),
      );
      const session = await openSession(agents, "2025-11-25", { capabilities });
      const next = await call(agents, session);
      await next();
      await next();
      const error = { code: -1, message: "No", data: { big: 1 } };
      await answer(agents, session, { id: 1, error });
      await answer(agents, session, { id: 2, result: { ok: true } });
      expect(JSON.parse((await next()) ?? "").result).toEqual({
        content: [{ type: "text", text: "The client refused: No" }],
        isError: true,
      });
      expect(memberOf(agents.dispatch.rounds[1], "inputResponses")).toEqual({
        k: { "mcp-gateway/refused": error },
        other: { ok: true },
      });
      // Other methods have no result that says so.
      const body = legacyBody("prompts/get", { name: "ask" }, 5);
      const prompt = messagesOf(
        await post(agents, body, { headers: { "mcp-session-id": session } }),
      );
      await prompt();
      await prompt();
      await answer(agents, session, { id: 4, error });
      await answer(agents, session, { id: 3, error });
      expect(JSON.parse((await prompt()) ?? "")).toMatchObject({ id: 5, error: { code: -32603 } });
    });
  }

  test("an elicitation answered with an error is cancelled by the user", async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, onceAsked(form)));
    const session = await openSession(agents, "2025-11-25", { capabilities: everything });
    const next = await call(agents, session);
    await next();
    await answer(agents, session, { id: 1, error: { code: -32602, message: "No" } });
    expect(JSON.parse((await next()) ?? "")).toMatchObject({ id: "c", result: done });
    expect(memberOf(agents.dispatch.rounds[1], "inputResponses")).toEqual({
      k: { action: "cancel" },
    });
  });

  test("what a client did not declare is not asked", async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, onceAsked(link)));
    const session = await openSession(agents, "2025-11-25", { capabilities: { elicitation: {} } });
    const body = legacyBody("tools/call", { name: "ask" });
    const response = await post(agents, body, { headers: { "mcp-session-id": session } });
    expect(await response.json()).toMatchObject({ result: { isError: true } });
    expect(memberOf(agents.dispatch.rounds[1], "inputResponses")).toEqual(withdrawn);
  });

  test("cancelling the call withdraws its questions, and nothing more is said", async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, onceAsked(form)));
    const session = await openSession(agents, "2025-11-25", { capabilities: everything });
    const next = await call(agents, session);
    await next();
    await answer(agents, session, {
      method: "notifications/cancelled",
      params: { requestId: "c" },
    });
    expect(await next()).toBe(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
    );
    expect(await next()).toBeUndefined();
    await answer(agents, session, { id: 1, result: { action: "accept" } });
    expect(agents.dispatch.rounds).toHaveLength(2);
    expect(memberOf(agents.dispatch.rounds[1], "inputResponses")).toEqual(withdrawn);
    expect(memberOf(agents.dispatch.rounds[1], "requestState")).toBe("s");
  });

  test("no answer in time: the form is cancelled, sampling is refused", async () => {
    const dispatch = createAskingDispatch(testTokens, (round) =>
      round === 0 ? ask({ k: form, l: sample }) : done,
    );
    await using agents = await startAgentsOver(dispatch, { answerTimeoutMs: 50 });
    const session = await openSession(agents, "2025-11-25", { capabilities: everything });
    const next = await call(agents, session);
    expect(await next()).toContain('"id":1,"method":"elicitation/create"');
    expect(await next()).toContain('"id":2,"method":"sampling/createMessage"');
    expect(await next()).toContain('"notifications/cancelled","params":{"requestId":1}');
    expect(await next()).toContain('"notifications/cancelled","params":{"requestId":2}');
    expect(JSON.parse((await next()) ?? "").result).toEqual(done);
    expect(memberOf(dispatch.rounds[1], "inputResponses")).toEqual({
      k: { action: "cancel" },
      l: { "mcp-gateway/refused": { code: -1, message: "No answer in time" } },
    });
  });

  test("questions are bounded, and so are rounds", async () => {
    const many = { a: form, b: form, c: form };
    const dispatch = createAskingDispatch(testTokens, () => ask(many));
    await using agents = await startAgentsOver(dispatch, { questionsPerSessionMax: 2 });
    const session = await openSession(agents, "2025-11-25", { capabilities: everything });
    const body = legacyBody("tools/call", { name: "ask" });
    const options = { headers: { "mcp-session-id": session } };
    const refused = await (await post(agents, body, options)).text();
    expect(refused).toContain("at most 2 questions may be open");

    const endless = createAskingDispatch(testTokens, () => ask({ k: form }));
    await using others = await startAgentsOver(endless);
    const other = await openSession(others, "2025-11-25", { capabilities: everything });
    const next = await call(others, other);
    let id = 0;
    for (let text = await next(); text !== undefined; text = await next()) {
      const message = JSON.parse(text);
      if (message.method === undefined) expect(message.result).toMatchObject({ isError: true });
      else {
        id = message.id;
        await answer(others, other, { id, result: { action: "decline" } });
      }
    }
    expect(id).toBe(10);
    expect(endless.rounds).toHaveLength(11);
  });

  test("in a batch of 2025-03-26 each call asks for itself", async () => {
    await using agents = await startAgentsOver(
      createAskingDispatch(testTokens, (_round, request) =>
        memberOf(request, "inputResponses") === undefined ? ask({ k: sample }) : done,
      ),
    );
    const session = await openSession(agents, "2025-03-26", { capabilities: everything });
    const calls = ["a", "b"].map((id) => legacyBody("tools/call", { name: "ask" }, id));
    const next = messagesOf(
      await post(agents, `[${calls.join(",")}]`, { headers: { "mcp-session-id": session } }),
    );
    const ids = [await next(), await next()].map((text) => JSON.parse(text ?? "").id);
    expect(ids).toEqual([1, 2]);
    const answers = ids.map((id) => ({ jsonrpc: "2.0", id, result: said }));
    expect(await answer(agents, session, JSON.stringify(answers))).toBe(202);
    const answered = [await next(), await next()].map((text) => JSON.parse(text ?? ""));
    expect(answered.map(({ id }) => id).sort()).toEqual(["a", "b"]);
    expect(answered[0].result).toEqual(done);
  });

  test("the end of the session ends the call and its questions", async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, onceAsked(form)));
    const session = await openSession(agents, "2025-11-25", { capabilities: everything });
    const next = await call(agents, session);
    await next();
    await fetch(`${agents.url}/mcp`, {
      method: "DELETE",
      headers: { ...headers, "mcp-session-id": session },
    });
    let last: string | undefined;
    for (let text = await next(); text !== undefined; text = await next()) last = text;
    expect(last ?? "").not.toContain('"result"');
    await until(() => agents.listener.sessions.list().length === 0);
    expect(memberOf(agents.dispatch.rounds[1], "inputResponses")).toEqual(withdrawn);
  });

  test("without a session nothing is declared, and a server that asks all the same is not passed on", async () => {
    await using agents = await startAgentsOver(createAskingDispatch(testTokens, onceAsked(form)));
    const body = legacyBody("tools/call", { name: "ask" });
    const response = await post(agents, body, { path: "/all/sse" });
    expect(await response.json()).toMatchObject({ result: { isError: true } });
    expect(agents.dispatch.rounds[0]?.envelope.clientCapabilitiesText).toBe("{}");
  });

  test("a call without a question is answered as before", async () => {
    await using agents = await startAgents();
    const session = await openSession(agents);
    const body = legacyBody("tools/call", { name: "echo", arguments: { a: 1 } });
    const response = await post(agents, body, { headers: { "mcp-session-id": session } });
    expect(response.headers.get("content-type")).toBe("application/json");
  });
});
