/** Who reads which stream, and from where on; on the wire it is test/contract/agents-resume.test.ts. */

import { expect, test } from "bun:test";
import { createAdmission } from "../../../../src/agents/admission.ts";
import type { Arrival } from "../../../../src/agents/arrival.ts";
import { createSessionStreams } from "../../../../src/agents/legacy/session-streams.ts";
import { createSessions, type LegacySession } from "../../../../src/agents/legacy/sessions.ts";
import { defaultAgentsOptions } from "../../../../src/agents/options.ts";
import { createStreams } from "../../../../src/agents/streams.ts";
import type { LegacyRevision } from "../../../../src/protocol/revisions.ts";
import { createMetrics } from "../../../../src/telemetry/metrics.ts";
import { keptFromOf } from "../../../support/kept-from.ts";
import { clientPrincipal } from "../../../support/principals.ts";

function createTestStreams() {
  const ticks = new Set<() => void>();
  const beat = {
    join(tick: () => void) {
      ticks.add(tick);
      return () => ticks.delete(tick);
    },
    stop() {},
  };
  const limits = { ...defaultAgentsOptions, keepAliveMs: 1e9 };
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const metrics = createMetrics();
  const admission = createAdmission(limits);
  const streams = createStreams({ options: limits, clock, beat, admission, metrics });
  const sessionStreams = createSessionStreams({ limits, clock, beat, streams, metrics });
  const sessions = createSessions({ ...limits, clock });

  function open(revision: LegacyRevision = "2025-11-25"): LegacySession {
    const session = sessions.open({
      binding: "http",
      scope: "all",
      revision,
      clientInfoText: undefined,
      capabilitiesText: "{}",
      principal: { ...principal },
      from: keptFromOf(),
    });
    if (session === undefined) throw new Error("no session");
    sessionStreams.adopt(session);
    return session;
  }
  const get = (session: LegacySession, lastEventId?: string) =>
    sessionStreams.get(session, createArrival(lastEventId));
  const pass = (ms: number) => {
    nowMs += ms;
    sessions.sweep(() => true);
  };
  return { sessionStreams, sessions, metrics, open, get, pass };
}

const principal = clientPrincipal("alice");

function createArrival(lastEventId?: string): Arrival {
  const headers: Record<string, string> =
    lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  return {
    request: new Request("http://localhost/mcp", { headers }),
    caller: {
      binding: "http",
      scope: "all",
      credential: { kind: "none" },
      peer: { address: "127.0.0.1" },
      origin: undefined,
      requestId: undefined,
      traceparent: undefined,
    },
    path: "/mcp",
    query: "",
    metadataUrl: () => "",
    keepOpen() {},
    isHeld: false,
  };
}

interface Reader {
  /** The next chunk as text; undefined at the end. */
  read(): Promise<string | undefined>;
  leave(): Promise<void>;
}

function readerOf(body: ReadableStream<Uint8Array> | null): Reader {
  const reader = body?.getReader();
  if (reader === undefined) throw new Error("no body");
  return {
    async read() {
      const next = await reader.read();
      return next.done ? undefined : new TextDecoder().decode(next.value);
    },
    leave: () => reader.cancel(),
  };
}

function idIn(text: string | undefined): string {
  const ids = [...(text ?? "").matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
  const last = ids.at(-1);
  if (last === undefined) throw new Error(`no id in ${text}`);
  return last;
}

test("what a session is told while nobody reads comes with its GET, once", async () => {
  const { open, get } = createTestStreams();
  const session = open();
  session.tell?.('{"n":1}');
  session.tell?.('{"n":2}');
  const first = readerOf(get(session).body);
  const said = await first.read();
  expect(said?.match(/^data: .*$/gm)).toEqual(["data: ", 'data: {"n":1}', 'data: {"n":2}']);
  session.tell?.('{"n":3}');
  expect(await first.read()).toContain('{"n":3}');
  await first.leave();
  session.tell?.('{"n":4}');
  const text = await readerOf(get(session).body).read();
  expect(text).toContain('{"n":4}');
  expect(text).not.toContain('{"n":3}');
});

const greetings: readonly [LegacyRevision, RegExp][] = [
  ["2025-11-25", /^id: [\x21-\x7e]+\nretry: 1[0-9]{3}\ndata: \n\n$/],
  ["2025-06-18", /^: keep-alive\n\n$/],
  ["2025-03-26", /^: keep-alive\n\n$/],
  ["2024-11-05", /^: keep-alive\n\n$/],
];
for (const [revision, greeting] of greetings) {
  test(`${revision}: how a GET stream and a POST stream begin, and whether events have ids`, async () => {
    const { open, get, sessionStreams } = createTestStreams();
    const session = open(revision);
    const reader = readerOf(get(session).body);
    expect(await reader.read()).toMatch(greeting);
    const call = sessionStreams.openCall(session, createArrival());
    call.touch();
    const callReader = readerOf(call.body);
    await callReader.read();
    session.tell?.("told");
    call.send("sent");
    const hasId = revision !== "2024-11-05";
    const events = [await reader.read(), await callReader.read()];
    expect(events.map((text) => text?.startsWith("id: "))).toEqual([hasId, hasId]);
  });
}

test("a second GET conflicts; one that resumes the same stream takes over from the first", async () => {
  const { open, get } = createTestStreams();
  const session = open();
  const first = readerOf(get(session).body);
  const id = idIn(await first.read());
  expect(get(session).status).toBe(409);
  session.tell?.("lost");
  const second = readerOf(get(session, id).body);
  expect(await second.read()).toContain("lost");
  // What the first had not fetched yet it still gets, then its end.
  expect(await first.read()).toContain("lost");
  expect(await first.read()).toBeUndefined();
  session.tell?.("new");
  expect(await second.read()).toContain("new");
  expect(get(session).status).toBe(409);
  await second.leave();
  expect(get(session).status).toBe(200);
});

test("a POST stream goes on without its reader; the GET that resumes it gets the rest, the answer, the end", async () => {
  const { open, get, sessionStreams, metrics } = createTestStreams();
  const session = open();
  const call = sessionStreams.openCall(session, createArrival());
  const first = readerOf(call.body);
  call.send("one");
  const id = idIn(await first.read());
  await first.leave();
  call.send("two");
  const own = readerOf(get(session).body);
  await own.read();
  const second = readerOf(get(session, id).body);
  const replayed = await second.read();
  expect(replayed).toContain("two");
  expect(replayed).not.toContain("one");
  // Even before anything new, a reader who is lost again knows where it stands.
  expect(replayed?.replace(/retry: \d+\n/, "").startsWith(`id: ${id}\ndata: \n\n`)).toBe(true);
  call.send("answer");
  call.end();
  expect(await second.read()).toContain("answer");
  expect(await second.read()).toBeUndefined();
  session.tell?.("elsewhere");
  expect(await own.read()).not.toContain("answer");

  const again = readerOf(get(session, id).body);
  expect(await again.read()).toContain("answer");
  expect(await again.read()).toBeUndefined();
  expect(await metrics.total("mcp_gateway_streams_resumed_total")).toBe(2);
});

test("nothing left to say is 204, which ends the coming back; an unknown id is 400, not a lost session", async () => {
  const { open, get, sessionStreams } = createTestStreams();
  const session = open();
  const call = sessionStreams.openCall(session, createArrival());
  const reader = readerOf(call.body);
  call.send("answer");
  call.end();
  const id = idIn(await reader.read());
  expect(get(session, id).status).toBe(204);
  const other = open();
  expect(get(other, id).status).toBe(400);
  expect(get(session, "no-such-id").status).toBe(400);
  const old = open("2024-11-05");
  expect(get(old, id).status).toBe(400);
});

test("an answer larger than the write queue is replayed whole", async () => {
  const { open, get, sessionStreams } = createTestStreams();
  const session = open();
  const call = sessionStreams.openCall(session, createArrival());
  const first = readerOf(call.body);
  const id = idIn(await first.read());
  await first.leave();
  call.send("small");
  call.send("x".repeat(3 * 1024 * 1024));
  call.end();
  const second = readerOf(get(session, id).body);
  expect((await second.read())?.length).toBeGreaterThan(3 * 1024 * 1024);
  expect(await second.read()).toBeUndefined();
});

for (const why of ["draining", "deleted"] as const) {
  test(`the end of a session (${why}) ends every stream, with retry where the gateway goes away`, async () => {
    const { open, get, sessionStreams, sessions } = createTestStreams();
    const [session, old] = [open(), open("2024-11-05")];
    const call = sessionStreams.openCall(session, createArrival());
    const bodies = [call.body, get(session).body, get(old).body];
    const readers = bodies.map(readerOf);
    for (const reader of readers) await reader.read();
    const { tell } = session;
    for (const one of [session, old]) sessions.end(one, why);
    const isTold = why === "draining";
    for (const reader of readers.slice(0, 2)) {
      if (isTold) expect(await reader.read()).toMatch(/^retry: [1-4][0-9]{3}\n\n$/);
      expect(await reader.read()).toBeUndefined();
    }
    expect(await readers[2]?.read()).toBeUndefined();
    // A call that ends later finds nothing to do.
    call.send("late");
    call.end();
    tell?.("late");
    expect(session.outbox?.bytes).toBe(0);
  });
}

test("a session that somebody reads is not idle; kept messages alone do not hold it", async () => {
  const { open, get, sessions, pass } = createTestStreams();
  const session = open();
  session.tell?.("kept");
  const reader = readerOf(get(session).body);
  await reader.read();
  pass(defaultAgentsOptions.sessionIdleMs + 1);
  expect(sessions.size()).toBe(1);
  await reader.leave();
  session.tell?.("kept");
  pass(1);
  expect(sessions.size()).toBe(0);
});
