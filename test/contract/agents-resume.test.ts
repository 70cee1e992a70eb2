/** Streams of legacy sessions whose connection is lost, on the wire. */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import {
  legacyBody,
  openSession,
  post,
  postModern,
  startAgents,
  type TestAgents,
  until,
} from "../support/agents.ts";

const headers = { authorization: "Bearer alice" };
const waitCall = (id: number) =>
  legacyBody("tools/call", { name: "wait", arguments: {}, _meta: { progressToken: 0 } }, id);

interface WireStream {
  /** Reads on until the text so far holds this. */
  until(part: string): Promise<string>;
  /** Reads to the end. */
  rest(): Promise<string>;
  leave(): void;
}

interface Opened {
  readonly response: Response;
  readonly stream: WireStream;
}

async function open(asking: (signal: AbortSignal) => Promise<Response>): Promise<Opened> {
  const gone = new AbortController();
  const response = await asking(gone.signal);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  async function readUntil(isEnough: () => boolean): Promise<string> {
    while (!isEnough()) {
      const next = await reader?.read();
      if (next === undefined || next.done) break;
      text += next.value;
    }
    return text;
  }
  const stream = {
    async until(part: string) {
      await readUntil(() => text.includes(part));
      if (!text.includes(part)) throw new Error(`no ${part} in ${text}`);
      return text;
    },
    rest: () => readUntil(() => false),
    leave: () => gone.abort(),
  };
  return { response, stream };
}

function openCall(agents: TestAgents, session: string, body = waitCall(1)): Promise<Opened> {
  return open((signal) => post(agents, body, { headers: { "mcp-session-id": session }, signal }));
}

function openGet(
  agents: TestAgents,
  session: string,
  lastEventId?: string,
  token = "alice",
): Promise<Opened> {
  const more: Record<string, string> =
    lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  return open((signal) =>
    fetch(`${agents.url}/mcp`, {
      signal,
      headers: {
        authorization: `Bearer ${token}`,
        accept: "text/event-stream",
        "mcp-session-id": session,
        ...more,
      },
    }),
  );
}

function idsIn(text: string): readonly string[] {
  return [...text.matchAll(/^id: (.*)$/gm)].map(([, id = ""]) => id);
}

/** A call whose stream has begun and whose reader is lost; the id is the last one the reader saw. */
async function loseReader(agents: TestAgents, session: string): Promise<string> {
  const { stream } = await openCall(agents, session);
  const id = idsIn(await stream.until("\n\n")).at(-1) ?? "";
  stream.leave();
  await until(() => agents.listener.connections() === 0);
  return id;
}

test("a stream begins with a priming event; what came after an id is replayed, then goes on live", async () => {
  await using agents = await startAgents({ sseAfterMs: 10 });
  const session = await openSession(agents);
  const { stream } = await openCall(agents, session);
  expect(await stream.until("\n\n")).toMatch(/^id: [\x21-\x7e]+\nretry: 1[0-9]{3}\ndata: \n\n/);
  agents.dispatch.report(1);
  const [, first = ""] = idsIn(await stream.until('"progress":1'));
  agents.dispatch.report(2);
  await stream.until('"progress":2');
  stream.leave();
  await until(() => agents.listener.connections() === 0);
  agents.dispatch.report(3);

  const own = await openGet(agents, session);
  await own.stream.until("\n\n");
  const resumed = await openGet(agents, session, first);
  expect(resumed.response.status).toBe(200);
  await resumed.stream.until('"progress":3');
  agents.dispatch.report(4);
  await resumed.stream.until('"progress":4');
  agents.dispatch.release();
  const text = await resumed.stream.rest();
  expect([...(text.match(/"progress":[0-9]/g) ?? [])]).toEqual(
    [2, 3, 4].map((step) => `"progress":${step}`),
  );
  expect(text).toContain('"waited"');
  expect(new Set(idsIn(text)).size).toBe(idsIn(text).length);
  expect(agents.dispatch.aborted).toEqual([]);
  own.stream.leave();
});

test("a call that ends while nobody reads keeps its answer", async () => {
  await using agents = await startAgents({ sseAfterMs: 10 });
  const session = await openSession(agents);
  const id = await loseReader(agents, session);
  agents.dispatch.release();
  await until(() => agents.listener.sessions.list()[0]?.callsInFlight === 0);
  const { response, stream } = await openGet(agents, session, id);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const text = await stream.rest();
  expect(text).toContain('"waited"');
  const done = await openGet(agents, session, idsIn(text).at(-1));
  expect(done.response.status).toBe(204);
});

test("TS-10: an id is good in its own session only, and the session for its owner only", async () => {
  await using agents = await startAgents({ sseAfterMs: 10 });
  const session = await openSession(agents);
  const other = await openSession(agents);
  const bobs = await openSession(agents, "2025-11-25", { token: "bob" });
  const id = await loseReader(agents, session);
  // Each session has a stream of that number: only the id can tell them apart.
  await loseReader(agents, other);
  expect((await openGet(agents, session, id, "bob")).response.status).toBe(404);
  expect((await openGet(agents, bobs, id, "bob")).response.status).toBe(400);
  expect((await openGet(agents, session, id, "mallory")).response.status).toBe(401);
  const refused = await openGet(agents, other, id);
  expect(refused.response.status).toBe(400);
  expect(await refused.stream.rest()).toContain("Last-Event-ID");
  const resumed = await openGet(agents, session, id);
  expect(resumed.response.status).toBe(200);
  resumed.stream.leave();
  agents.dispatch.release();
});

test("a stream is forgotten after its time: 400, and the session goes on", async () => {
  await using agents = await startAgents({ sseAfterMs: 10, resumeMs: 1 });
  const session = await openSession(agents);
  const id = await loseReader(agents, session);
  agents.dispatch.release();
  await until(async () => (await agents.metrics.total("mcp_gateway_outbox_dropped_total")) === 1);
  expect((await openGet(agents, session, id)).response.status).toBe(400);
  const sessionId = { "mcp-session-id": session };
  const ping = await post(agents, legacyBody("ping"), { headers: sessionId });
  expect(ping.status).toBe(200);
});

const endings = {
  "notifications/cancelled": (agents: TestAgents, session: string) => {
    const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
    return post(agents, cancel, { headers: { "mcp-session-id": session } });
  },
  DELETE: (agents: TestAgents, session: string) =>
    fetch(`${agents.url}/mcp`, {
      method: "DELETE",
      headers: { ...headers, "mcp-session-id": session },
    }),
};
for (const [name, end] of Object.entries(endings)) {
  test(`PR-19: ${name} ends a call whose reader is lost`, async () => {
    await using agents = await startAgents({ sseAfterMs: 10 });
    const session = await openSession(agents);
    const id = await loseReader(agents, session);
    expect(agents.dispatch.aborted).toEqual([]);
    await end(agents, session);
    expect(agents.dispatch.aborted).toEqual(["1"]);
    const again = await openGet(agents, session, id);
    expect(again.response.status).toBe(name === "DELETE" ? 404 : 204);
  });
}

test("TS-01: a reader cut for its slowness still finds the answer; what is kept stays bounded", async () => {
  await using agents = await startAgents();
  const session = await openSession(agents);
  const body = legacyBody("tools/call", { name: "flood", arguments: {} });
  const socket = connect(agents.port, "127.0.0.1", () => {
    socket.write(
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer alice\r\n" +
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n" +
        `Mcp-Session-Id: ${session}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });
  socket.on("error", () => {});
  const id = await new Promise<string>((resolve) => {
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const first = idsIn(received).at(0);
      if (first === undefined) return;
      socket.pause();
      resolve(first);
    });
  });
  await until(async () => (await agents.metrics.total("mcp_gateway_slow_consumers_total")) === 1);
  await until(() => agents.listener.sessions.list()[0]?.callsInFlight === 0);
  expect(await agents.metrics.render()).toMatch(/^mcp_gateway_outbox_bytes (?:1?[0-9]{6})$/m);
  const { stream } = await openGet(agents, session, id);
  expect(await stream.rest()).toContain('"flooded"');
  socket.destroy();
});

test("a batch of 2025-03-26 on one stream is resumed as one", async () => {
  await using agents = await startAgents({ sseAfterMs: 10 });
  const session = await openSession(agents, "2025-03-26");
  const { stream } = await openCall(agents, session, `[${waitCall(1)},${waitCall(2)}]`);
  await stream.until("\n\n");
  agents.dispatch.report(1);
  const text = await stream.until('"progress":1');
  // Without a priming event, which this revision does not know, the first id is the first message's.
  expect(text.slice(0, text.indexOf("id: "))).toBe(": keep-alive\n\n".repeat(2));
  stream.leave();
  agents.dispatch.release();
  const resumed = await openGet(agents, session, idsIn(text).at(0));
  expect((await resumed.stream.rest()).match(/"id":[12],"result"/g)).toHaveLength(2);
});

test("a drain ends the session's streams with a time to come back", async () => {
  await using agents = await startAgents({ sseAfterMs: 10 });
  const session = await openSession(agents);
  const own = await openGet(agents, session);
  const call = await openCall(agents, session);
  await call.stream.until("\n\n");
  await agents.listener.drain(20);
  await agents.listener.stop();
  for (const { stream } of [own, call]) {
    expect(await stream.rest()).toMatch(/\nretry: [1-4][0-9]{3}\n\n$/);
  }
});

test("PR-18: no ids and no retry on modern answers, on HTTP+SSE, in sessions of 2024-11-05", async () => {
  await using agents = await startAgents({ sseAfterMs: 10 });
  const session = await openSession(agents, "2024-11-05");
  const params = { name: "wait", arguments: {}, _meta: { progressToken: 0 } };
  const sse = (signal: AbortSignal) =>
    fetch(`${agents.url}/all/sse`, {
      signal,
      headers: { ...headers, accept: "text/event-stream", "last-event-id": "7" },
    });
  const opened = [
    await open((signal) =>
      postModern(agents, "tools/call", params, { signal, headers: { "last-event-id": "7" } }),
    ),
    await openCall(agents, session),
    await openGet(agents, session),
    await open(sse),
  ];
  for (const { stream } of opened) await stream.until("\n\n");
  agents.dispatch.report(1);
  agents.dispatch.release();
  await opened[0]?.stream.rest();
  await agents.listener.drain(0);
  for (const { stream } of opened) {
    const text = await stream.rest();
    expect(text).not.toBe("");
    expect(text).not.toMatch(/^(?:id|retry):/m);
  }
});
