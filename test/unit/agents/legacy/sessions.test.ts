import { expect, test } from "bun:test";
import { createSessions, type SessionOpening } from "../../../../src/agents/legacy/sessions.ts";
import { Cancellation } from "../../../../src/lib/cancellation.ts";
import { keptFromOf } from "../../../support/kept-from.ts";
import { clientPrincipal } from "../../../support/principals.ts";

const alice = clientPrincipal("alice");
const opening: SessionOpening = {
  binding: "http",
  scope: "notes",
  revision: "2025-11-25",
  clientInfoText: undefined,
  capabilitiesText: "{}",
  principal: alice,
  from: keptFromOf(),
};

function createTestSessions(sessionsMax = 2, sessionsPerPrincipalMax = 10) {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const sessions = createSessions({
    clock,
    sessionsMax,
    sessionsPerPrincipalMax,
    sessionIdleMs: 100,
    sessionMaxMs: 10_000,
  });
  return { sessions, pass: (ms: number) => (nowMs += ms) };
}

test("AZ-05: an id is random, and good for its own binding and scope only", () => {
  const { sessions } = createTestSessions();
  const one = sessions.open(opening)!;
  const two = sessions.open(opening)!;
  expect(one.id).not.toBe(two.id);
  expect(Buffer.from(one.id, "base64url")).toHaveLength(32);
  expect(sessions.find(one.id, "http", "notes")).toBe(one);
  expect(sessions.find(one.id, "sse", "notes")).toBeUndefined();
  expect(sessions.find(one.id, "http", "all")).toBeUndefined();
  expect(sessions.find(one.publicId, "http", "notes")).toBeUndefined();
});

test("A10: used all the while, a session ends when its time is up", () => {
  const { sessions, pass } = createTestSessions();
  const ends: string[] = [];
  const [found, swept] = [sessions.open(opening)!, sessions.open(opening)!];
  for (const session of [found, swept]) session.onEnd = (why) => void ends.push(why);
  for (let passed = 0; passed < 9_950; passed += 50) {
    pass(50);
    expect(sessions.find(found.id, "http", "notes")).toBe(found);
    expect(sessions.find(swept.id, "http", "notes")).toBe(swept);
  }
  pass(50);
  expect(sessions.find(found.id, "http", "notes")).toBeUndefined();
  sessions.sweep(() => true);
  expect(ends).toEqual(["expired", "expired"]);
  expect(sessions.size()).toBe(0);
});

test("full is full, until an idle one can go", () => {
  const { sessions, pass } = createTestSessions(1);
  const first = sessions.open(opening)!;
  expect(sessions.open(opening)).toBeUndefined();
  pass(101);
  first.calls.set("1", new Cancellation());
  expect(sessions.open(opening)).toBeUndefined();
  first.calls.clear();
  expect(sessions.open(opening)).toBeDefined();
  expect(sessions.size()).toBe(1);
});

test("A10: one principal cannot take every session, and an ended one frees its place", () => {
  const { sessions } = createTestSessions(10, 1);
  const bob = { ...opening, principal: { ...alice, id: "client:bob" } };
  const first = sessions.open(opening)!;
  expect(sessions.open(opening)).toBeUndefined();
  expect(sessions.open(bob)).toBeDefined();
  sessions.end(first, "deleted");
  sessions.end(first, "deleted");
  expect(sessions.open(opening)).toBeDefined();
  expect(sessions.open(opening)).toBeUndefined();
});

test("an ended session aborts its calls and closes its stream once", () => {
  const { sessions } = createTestSessions();
  const session = sessions.open(opening)!;
  const call = new Cancellation();
  const ends: string[] = [];
  session.calls.set("1", call);
  session.onEnd = (why) => ends.push(why);
  sessions.sweep(() => true);
  expect(ends).toEqual([]);
  sessions.sweep(() => false);
  sessions.end(session, "deleted");
  expect(ends).toEqual(["revoked"]);
  expect(call.signal.aborted).toBe(true);
  expect(sessions.list()).toEqual([]);
});

test("a session keeps what it needs of its opening, not the request that came with it", () => {
  const { sessions } = createTestSessions();
  const handshake = { ...opening, discover: { params: {} } };
  expect(sessions.open(handshake)).not.toHaveProperty("discover");
});
