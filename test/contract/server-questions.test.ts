/**
 * What a legacy server asks during a call, on every binding, against servers built on the official SDK: the call parks,
 * the answers reach the server under its own ids, and the call goes on (reference section 4.2.1).
 */
import { describe, expect, test } from "bun:test";
import { objectText } from "../../src/protocol/json-view.ts";
import type { RelayedMessage } from "../../src/protocol/messages.ts";
import type { ServerClient } from "../../src/servers/client.ts";
import type { ServerTransport } from "../../src/servers/spec.ts";
import { callTool, connectServer, needAsked, needText } from "../support/connected-server.ts";
import { until } from "../support/deadline.ts";
import {
  createAskingServer,
  createEventStore,
  createModernAskingServer,
  questions,
} from "../support/fake-servers/asking.ts";
import {
  type FakeServer,
  startHttpV1,
  startHttpV2,
  startSseV1,
  startWebSocket,
} from "../support/fake-servers/network.ts";

const { form, url, sample, sampleWithTools, roots } = questions;
const accepted = { action: "accept", content: { name: "\u00fc" } };
const sampled = { role: "assistant", content: { type: "text", text: "hello" }, model: "m" };
const listed = { roots: [{ uri: "file:///a" }] };

interface Subject extends AsyncDisposable {
  readonly transport: ServerTransport;
  /** Undefined where the gateway starts the server itself. */
  readonly fake: FakeServer | undefined;
}

const bindings: readonly { readonly name: string; readonly start: () => Promise<Subject> }[] = [
  { name: "stdio", start: async () => stdio() },
  network("streamable-http", () => startHttpV1(0, createAskingServer)),
  network("streamable-http", () =>
    startHttpV1(0, createAskingServer, { eventStore: createEventStore() }),
  ),
  network("http-sse", () => startSseV1(0, createAskingServer)),
  network("websocket", () => startWebSocket("v1", 0, createAskingServer)),
];

describe.each(bindings)("questions over $name", ({ start }) => {
  test("each kind is asked, answered byte for byte, and the call goes on", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const { client } = server;
    for (const [question, answer] of [
      [form, accepted],
      [url, { action: "accept" }],
      [sample, sampled],
      [sampleWithTools, sampled],
      [roots, listed],
    ] as const) {
      const args = { rounds: [[question]] };
      const asked = needAsked(await callTool(client, "ask", args));
      const [key = "", ...others] = Object.keys(asked.inputRequests);
      expect(others).toEqual([]);
      expect(asked.inputRequests[key]?.method).toBe(question.method);
      const answered = await callTool(client, "ask", args, {
        requestState: asked.requestState,
        inputResponses: { [key]: answer, extra: {} },
      });
      expect(JSON.parse(needText(answered))).toEqual([[answer]]);
    }
  });

  test("an elicitation loses its elicitationId; everything else stays as it was", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const rounds = [[form, url, sample]];
    const asked = needAsked(await callTool(server.client, "ask", { rounds }));
    const params = Object.values(asked.inputRequests).map((one) => one.params);
    expect(params).toEqual([
      form.params,
      { mode: "url", message: "Visit", url: url.params.url },
      sample.params,
    ]);
  });

  test("several at once are one round, later ones the next; progress comes in each", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport, {}, { questionWindowMs: 1_500 });
    const args = { rounds: [[form, { ...sample, afterMs: 50 }], [roots]] };
    const first: RelayedMessage[] = [];
    const second: RelayedMessage[] = [];
    const third: RelayedMessage[] = [];
    const one = needAsked(
      await callTool(server.client, "ask", args, { progressToken: "p1", relayed: first }),
    );
    const keys = Object.keys(one.inputRequests);
    expect(keys).toHaveLength(2);
    const two = needAsked(
      await callTool(server.client, "ask", args, {
        requestState: one.requestState,
        inputResponses: { [keys[0] ?? ""]: accepted, [keys[1] ?? ""]: sampled },
        progressToken: "p2",
        relayed: second,
      }),
    );
    expect(two.requestState).not.toBe(one.requestState);
    const [key = ""] = Object.keys(two.inputRequests);
    expect(keys).not.toContain(key);
    const end = await callTool(server.client, "ask", args, {
      requestState: two.requestState,
      inputResponses: { [key]: listed },
      progressToken: "p3",
      relayed: third,
    });
    expect(JSON.parse(needText(end))).toEqual([[accepted, sampled], [listed]]);
    expect(first.map(tokenAndStep)).toEqual([["p1", 1]]);
    expect(second.map(tokenAndStep)).toEqual([["p2", 2]]);
  });

  test("missing answers are asked for again; a state serves once, and its principal alone", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const args = { rounds: [[form, roots]] };
    const one = needAsked(await callTool(server.client, "ask", args));
    const [formKey = "", rootsKey = ""] = Object.keys(one.inputRequests);
    const retry = { requestState: one.requestState, inputResponses: { [formKey]: accepted } };
    const foreign = await callTool(server.client, "ask", args, { ...retry, principalId: "bob" });
    expect(foreign).toMatchObject({ kind: "error", error: { code: -32602 } });
    const two = needAsked(await callTool(server.client, "ask", args, retry));
    expect(Object.keys(two.inputRequests)).toEqual([rootsKey]);
    const again = await callTool(server.client, "ask", args, retry);
    expect(again).toMatchObject({ kind: "error", error: { code: -32602 } });
    const end = await callTool(server.client, "ask", args, {
      requestState: two.requestState,
      inputResponses: { [rootsKey]: listed },
    });
    expect(JSON.parse(needText(end))).toEqual([[accepted, listed]]);
    expect(server.servers.status("fake")?.inFlight).toBe(0);
  });

  test("what the agent did not declare is refused at the server, and nothing is shown", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const rounds = [[form, url, sample, sampleWithTools, roots, { method: "tasks/list" }]];
    for (const [capabilities, answers] of [
      ['{"elicitation":{"url":{}}}', [-32602, "asked", -32601, -32601, -32601, -32601]],
      ['{"sampling":{}}', [-32601, -32601, "asked", -32602, -32601, -32601]],
      ["{}", [-32601, -32601, -32601, -32601, -32601, -32601]],
    ] as const) {
      const options = { capabilities };
      const outcome = await callTool(server.client, "ask", { rounds }, options);
      const isAsked = answers.some((one) => one === "asked");
      if (!isAsked) {
        const codes = JSON.parse(needText(outcome))[0].map((one: { error?: number }) => one.error);
        expect(codes).toEqual([...answers]);
        continue;
      }
      const asked = needAsked(outcome);
      const [key = ""] = Object.keys(asked.inputRequests);
      const retry = { ...options, ...asked, inputResponses: { [key]: { action: "decline" } } };
      const end = await callTool(server.client, "ask", { rounds }, retry);
      const codes = JSON.parse(needText(end))[0].map(
        (one: { error?: number }) => one.error ?? "asked",
      );
      expect(codes).toEqual([...answers]);
    }
  });

  test("a withdrawn question is not shown, and not waited for", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const args = { rounds: [[{ ...form, withdrawnAfterMs: 500 }, roots], [sample]] };
    const one = needAsked(await callTool(server.client, "ask", args));
    const [, rootsKey = ""] = Object.keys(one.inputRequests);
    await Bun.sleep(1_500);
    const two = needAsked(
      await callTool(server.client, "ask", args, {
        requestState: one.requestState,
        inputResponses: { [rootsKey]: listed },
      }),
    );
    const methods = Object.values(two.inputRequests).map(({ method }) => method);
    expect(methods).toEqual(["sampling/createMessage"]);
  });

  test("an agent that leaves during a round cancels the call", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const args = { rounds: [[form], [{ ...roots, afterMs: 30_000 }]] };
    const one = needAsked(await callTool(server.client, "ask", args));
    const [key = ""] = Object.keys(one.inputRequests);
    const leaving = new AbortController();
    const call = callTool(server.client, "ask", args, {
      requestState: one.requestState,
      inputResponses: { [key]: accepted },
      signal: leaving.signal,
    });
    const said = async (line: string) => (await seenBy(server.client)).includes(line);
    await until("the answer to arrive", () => said(`answers:[${JSON.stringify(accepted)}]`));
    leaving.abort();
    expect(await call).toMatchObject({ kind: "fault", fault: { name: "cancelled" } });
    await until("the cancellation to arrive", () => said("cancelled"));
  });

  test("nobody comes back: the question is cancelled, then the call", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport, {}, { parkedMs: 100 });
    const args = { rounds: [[form, sample, roots], [{ ...roots, afterMs: 30_000 }]] };
    const asked = needAsked(await callTool(server.client, "ask", args));
    expect(server.servers.status("fake")?.inFlight).toBe(1);
    const answers = 'answers:[{"action":"cancel"},{"error":-1},{"error":-32601}]';
    const lines = await until("the call to end", async () => {
      const seen = await seenBy(server.client);
      return seen.includes("cancelled") && seen.includes(answers) ? seen : undefined;
    });
    expect(lines).toContain(answers);
    const late = await callTool(server.client, "ask", args, { ...asked, inputResponses: {} });
    expect(late).toMatchObject({ kind: "error", error: { code: -32602 } });
    expect(server.servers.status("fake")?.inFlight).toBe(0);
  });

  test("no more than eight rounds, and no more parked calls than allowed", async () => {
    await using subject = await start();
    await using server = connectServer(
      subject.transport,
      {},
      { parkedPerPrincipalMax: 1, processesMax: 2 },
    );
    const args = { rounds: Array.from({ length: 12 }, () => [roots]) };
    let asked = needAsked(await callTool(server.client, "ask", args));
    const second = await callTool(server.client, "ask", args);
    expect(second.kind).not.toBe("result");
    let rounds = 1;
    for (;;) {
      const [key = ""] = Object.keys(asked.inputRequests);
      const retry = { ...asked, inputResponses: { [key]: listed } };
      const outcome = await callTool(server.client, "ask", args, retry);
      if (outcome.kind !== "result") {
        expect(outcome).toMatchObject({ kind: "fault", fault: { reason: "too-many-rounds" } });
        break;
      }
      asked = needAsked(outcome);
      rounds += 1;
    }
    expect(rounds).toBe(8);
  });

  test("a server that asks for a URL by error -32042 is called again after it was visited", async () => {
    await using subject = await start();
    await using server = connectServer(subject.transport);
    const unable = await callTool(
      server.client,
      "visit",
      { for: "a" },
      { capabilities: '{"roots":{}}' },
    );
    expect(unable).toMatchObject({
      kind: "fault",
      fault: {
        name: "missing-client-capability",
        data: { requiredCapabilities: { elicitation: { url: {} } } },
      },
    });
    const args = { for: "b" };
    const options = { capabilities: '{"elicitation":{"url":{}}}' };
    const asked = needAsked(await callTool(server.client, "visit", args, options));
    const [key = ""] = Object.keys(asked.inputRequests);
    expect(asked.inputRequests[key]).toMatchObject({
      method: "elicitation/create",
      params: { mode: "url", message: "Visit", url: url.params.url },
    });
    expect(asked.inputRequests[key]?.params).not.toHaveProperty("elicitationId");
    const retry = { ...options, requestState: asked.requestState };
    const inputResponses = { [key]: { action: "decline" } };
    const declined = await callTool(server.client, "visit", args, { ...retry, inputResponses });
    expect(declined).toMatchObject({ kind: "error", error: { code: -32603 } });
    const visited = await callTool(server.client, "visit", args, {
      ...retry,
      inputResponses: { [key]: { action: "accept" } },
    });
    expect(needText(visited)).toBe("visited");
  });
});

test("TS: a server that dies while its question is out leaves an honest fault", async () => {
  for (const startFake of [
    () => startHttpV1(0, createAskingServer),
    () => startWebSocket("v1", 0, createAskingServer),
  ]) {
    const fake = await startFake();
    const kind = fake.url.startsWith("ws") ? "websocket" : "streamable-http";
    await using server = connectServer({ kind, url: fake.url, headers: {} });
    const args = { rounds: [[form]] };
    const asked = needAsked(await callTool(server.client, "ask", args));
    await fake.stop();
    await Bun.sleep(50);
    const [key = ""] = Object.keys(asked.inputRequests);
    const end = await callTool(server.client, "ask", args, {
      requestState: asked.requestState,
      inputResponses: { [key]: accepted },
    });
    expect(end).toMatchObject({
      kind: "fault",
      fault: { name: "upstream-unreachable", data: { executed: "unknown" } },
    });
  }
});

describe.each(bindings.filter(({ name }) => name !== "stdio"))(
  "sessions over $name",
  ({ start }) => {
    test("a session declares what its agents declared, and serves none with other capabilities", async () => {
      await using subject = await start();
      await using server = connectServer(subject.transport);
      const declarations = [
        ["{}", "{}"],
        ['{"elicitation":{},"x":1}', '{"elicitation":{"form":{}}}'],
        [
          '{"roots":{"listChanged":true},"sampling":{"context":{}}}',
          '{"sampling":{"context":{}},"roots":{}}',
        ],
      ] as const;
      for (const [capabilities, told] of declarations) {
        const seen = await seenBy(server.client, { capabilities });
        expect(seen.filter((line) => line.startsWith("client:")).at(-1)).toBe(`client:${told}`);
      }
    });

    test("tools that are offered to some clients alone are known for those", async () => {
      await using subject = await start();
      await using server = connectServer(subject.transport);
      await server.client.facts(new AbortController().signal);
      const { signal } = new AbortController();
      for (const [clientCapabilitiesText, isOffered] of [
        ["{}", false],
        ['{"sampling":{}}', false],
        ['{"roots":{}}', true],
      ] as const) {
        const asked = { refresh: false, signal, clientCapabilitiesText };
        expect((await server.servers.tools("fake", asked)).has("rooted")).toBe(isOffered);
        const known = server.servers.knowsTool("fake", "rooted", clientCapabilitiesText);
        expect(known).toBe(isOffered);
      }
    });
  },
);

test("a process serves every agent, remembers for all, and asks each only what it declared", async () => {
  await using subject = stdio();
  await using server = connectServer(subject.transport);
  const everything =
    'client:{"sampling":{"context":{},"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{}}';
  const all = { capabilities: '{"elicitation":{},"roots":{}}' };
  const none = { capabilities: "{}" };
  await callTool(server.client, "ask", { rounds: [[form]] }, none);
  const asked = needAsked(await callTool(server.client, "ask", { rounds: [[roots]] }, all));
  expect(Object.keys(asked.inputRequests)).toEqual(["q1"]);
  const seen = await seenBy(server.client, none);
  expect(seen.filter((line) => line.startsWith("client:"))).toEqual([everything]);
  expect(seen).toContain('answers:[{"error":-32601}]');
  expect(server.servers.status("fake")?.restarts).toBe(0);
});

test("while two calls share a process, a question is refused and never guessed at", async () => {
  await using subject = stdio();
  await using server = connectServer(subject.transport);
  const args = { rounds: [[form]] };
  const one = needAsked(await callTool(server.client, "ask", args));
  const other = await callTool(server.client, "ask", { rounds: [[roots, sample]] });
  expect(JSON.parse(needText(other))).toEqual([[{ roots: [] }, { error: -32601 }]]);
  const [key = ""] = Object.keys(one.inputRequests);
  const retry = { requestState: one.requestState, inputResponses: { [key]: accepted } };
  expect(JSON.parse(needText(await callTool(server.client, "ask", args, retry)))).toEqual([
    [accepted],
  ]);
});

test("with more processes, calls that may ask get one each", async () => {
  await using subject = stdio();
  await using server = connectServer(subject.transport, {}, { processesMax: 2 });
  const args = { rounds: [[form]] };
  const calls = [callTool(server.client, "ask", args), callTool(server.client, "ask", args)];
  const asked = (await Promise.all(calls)).map(needAsked);
  expect(asked.map((one) => Object.keys(one.inputRequests))).toEqual([["q1"], ["q1"]]);
});

test("over Streamable HTTP a question on the session's own stream finds the only call there", async () => {
  const fake = await startHttpV1(0, createAskingServer);
  await using _stop = { [Symbol.asyncDispose]: fake.stop };
  await using server = connectServer({ kind: "streamable-http", url: fake.url, headers: {} });
  const args = { rounds: [[{ ...form, related: false, afterMs: 100 }]] };
  const calls = [1, 2, 3].map(() => callTool(server.client, "ask", args));
  for (const outcome of await Promise.all(calls)) {
    const asked = needAsked(outcome);
    const [key = ""] = Object.keys(asked.inputRequests);
    const retry = { requestState: asked.requestState, inputResponses: { [key]: accepted } };
    const end = await callTool(server.client, "ask", args, retry);
    expect(JSON.parse(needText(end))).toEqual([[accepted]]);
  }
});

test("a modern server's questions pass as they are, and it is told what the agent declared", async () => {
  const fake = await startHttpV2(0, createModernAskingServer);
  await using _stop = { [Symbol.asyncDispose]: fake.stop };
  await using server = connectServer({ kind: "streamable-http", url: fake.url, headers: {} });
  const capabilities = '{"elicitation":{"form":{}},"roots":{}}';
  const asked = needAsked(await callTool(server.client, "ask", {}, { capabilities }));
  expect(asked.requestState).toBe("its own");
  expect(asked.inputRequests).toMatchObject({
    name: { method: "elicitation/create", params: { message: "Name?" } },
    roots: { method: "roots/list" },
  });
  const inputResponses = { name: accepted, roots: listed };
  const retry = { capabilities, requestState: "its own", inputResponses };
  const end = needText(await callTool(server.client, "ask", {}, retry));
  expect(JSON.parse(end)).toEqual(["its own", inputResponses]);
  expect(fake.behaviour.seen[0]).toBe(capabilities);
  const unable = await callTool(server.client, "ask", {}, { capabilities: '{"roots":{}}' });
  expect(unable).toMatchObject({ kind: "error", error: { code: -32021 } });
});

test("a retry whose capabilities shrank still belongs to its call", async () => {
  await using subject = stdio();
  await using server = connectServer(subject.transport);
  const args = { rounds: [[form]] };
  const asked = needAsked(await callTool(server.client, "ask", args));
  const end = await callTool(server.client, "ask", args, {
    requestState: asked.requestState,
    inputResponses: { q1: accepted },
    capabilities: "{}",
  });
  expect(needText(end)).toContain("accept");
});

function stdio(): Subject {
  const script = new URL("../support/fake-servers/stdio-main.ts", import.meta.url).pathname;
  const transport: ServerTransport = {
    kind: "stdio",
    command: process.execPath,
    args: [script, "asks"],
    environment: {},
    workingDirectory: undefined,
  };
  return { transport, fake: undefined, [Symbol.asyncDispose]: async () => {} };
}

function network(
  kind: "streamable-http" | "http-sse" | "websocket",
  startFake: () => Promise<FakeServer>,
) {
  return {
    name: kind,
    async start(): Promise<Subject> {
      const fake = await startFake();
      const transport = { kind, url: fake.url, headers: {} } as const;
      return { transport, fake, [Symbol.asyncDispose]: fake.stop };
    },
  };
}

async function seenBy(
  client: ServerClient,
  options: { readonly capabilities?: string } = {},
): Promise<readonly string[]> {
  return needText(await callTool(client, "seen", {}, options)).split("\n");
}

function tokenAndStep({ params }: RelayedMessage) {
  const { progressToken, progress } = JSON.parse(objectText(params));
  return [progressToken, progress];
}

test("a server has so many sessions and no more: the one longest unused makes room", async () => {
  const fake = await startHttpV1(0, createAskingServer);
  await using _stop = { [Symbol.asyncDispose]: fake.stop };
  const transport = { kind: "streamable-http", url: fake.url, headers: {} } as const;
  await using server = connectServer(transport, {}, { allSessionsMax: 2 });
  const opened = () => fake.behaviour.seen.filter((line) => line.startsWith("client:")).length;
  const ask = (capabilities: string, rounds: unknown[] = []) =>
    callTool(server.client, "ask", { rounds }, { capabilities });
  for (const capabilities of ['{"roots":{}}', '{"sampling":{}}', '{"roots":{}}']) {
    needText(await ask(capabilities));
  }
  // The server's own link, and two sessions.
  expect(opened()).toBe(3);
  needText(await ask('{"elicitation":{}}'));
  needText(await ask('{"roots":{}}'));
  expect(opened()).toBe(4);
  needAsked(await ask('{"roots":{}}', [[roots]]));
  needAsked(await ask('{"elicitation":{}}', [[form]]));
  expect(await ask('{"sampling":{}}')).toMatchObject({
    kind: "fault",
    fault: { name: "too-many-in-flight", reason: "sessions-full" },
  });
});
