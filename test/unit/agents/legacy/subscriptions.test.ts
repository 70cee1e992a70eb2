import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { Asking, Caller } from "../../../../src/agents/conversation.ts";
import type { LegacySession } from "../../../../src/agents/legacy/sessions.ts";
import { createSessions } from "../../../../src/agents/legacy/sessions.ts";
import { createSubscriptions } from "../../../../src/agents/legacy/subscriptions.ts";
import type { ErrorName } from "../../../../src/errors/catalogue.ts";
import { createFault } from "../../../../src/errors/fault.ts";
import type { Incoming, Reply } from "../../../../src/pipeline/incoming.ts";
import { readObject } from "../../../../src/protocol/json-view.ts";
import type { McpRequest } from "../../../../src/protocol/messages.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const caller: Caller = {
  binding: "websocket",
  scope: "all",
  credential: { kind: "bearer", token: "t" },
  peer: { address: "127.0.0.1" },
  origin: undefined,
  requestId: "r",
  traceparent: undefined,
};

function toReply(outcome: Reply["outcome"]): Reply {
  return { outcome, requestId: "r", limit: undefined };
}

const ended = toReply({ kind: "result", result: readObject("{}") });
const refused = (name: ErrorName) => toReply({ kind: "fault", fault: createFault(name, "") });
const acknowledgement = (notifications: object) =>
  JSON.stringify({
    method: "notifications/subscriptions/acknowledged",
    params: { notifications },
  });

/** A session whose listens go to `run`, on a clock that the fake timers move. */
function start(run: (asking: Asking<Incoming["message"]>) => Reply | undefined) {
  let nowMs = 0;
  let listens = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const sessions = createSessions({
    clock,
    sessionsMax: 1,
    sessionsPerPrincipalMax: 1,
    sessionIdleMs: 1,
  });
  const session = sessions.open({
    binding: "websocket",
    scope: "all",
    revision: "2025-11-25",
    clientInfoText: undefined,
    capabilitiesText: "{}",
    principal: { id: "p" } as LegacySession["principal"],
    tokenDigest: "",
  });
  if (session === undefined) throw new Error("no session");
  const conversation = {
    run(asking: Asking<Incoming["message"]>, signal: AbortSignal): Promise<Reply> {
      listens += 1;
      const reply = run(asking);
      if (reply !== undefined) return Promise.resolve(reply);
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(ended));
      });
    },
  };
  const subscriptions = createSubscriptions({ conversation, clock, subscriptionsPerSessionMax: 5 });
  return {
    session,
    subscriptions,
    end: () => sessions.end(session, "deleted"),
    listens: () => listens,
    async pass(ms: number) {
      for (let passed = 0; passed < ms; passed += 500) {
        nowMs += 500;
        jest.advanceTimersByTime(500);
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      }
    },
  };
}

const refusals: readonly [ErrorName, boolean][] = [
  ["method-not-found", false],
  ["policy-denied", false],
  ["unauthenticated", false],
  ["rate-limited", true],
  ["upstream-unreachable", true],
];
for (const [name, isRepeated] of refusals) {
  test(`a listen refused as ${name} is ${isRepeated ? "tried" : "not tried"} again`, async () => {
    const { session, subscriptions, listens, pass, end } = start(() => refused(name));
    subscriptions.follow(caller, session);
    await pass(2_000);
    expect(listens() > 1).toBe(isRepeated);
    end();
    const before = listens();
    await pass(200_000);
    expect(listens()).toBe(before);
  });
}

test("listens that are lost at once are opened ever more slowly, one that lasted quickly", async () => {
  let lasts = false;
  const { session, subscriptions, listens, pass } = start(({ relay }) => {
    relay(acknowledgement({ toolsListChanged: true }));
    return lasts ? undefined : ended;
  });
  subscriptions.follow(caller, session);
  await pass(10_000);
  // After at most 1, 2 and 4 seconds, and at least half of each.
  expect(listens()).toBeGreaterThanOrEqual(4);
  expect(listens()).toBeLessThanOrEqual(5);
  await pass(600_000);
  const slow = listens();
  await pass(120_000);
  expect(listens() - slow).toBeLessThanOrEqual(5);
  lasts = true;
  await pass(200_000);
  const lasting = listens();
  lasts = false;
  session.listening?.open?.end.abort();
  await pass(1_500);
  expect(listens()).toBe(lasting + 1);
});

test("where nothing can change, the end of the listen is its end", async () => {
  const { session, subscriptions, listens, pass } = start(({ relay }) => {
    relay(acknowledgement({}));
    return ended;
  });
  subscriptions.follow(caller, session);
  await pass(200_000);
  expect(listens()).toBe(1);
});

test("a subscription that is never acknowledged ends in time, and the next has its turn", async () => {
  let isAnswering = false;
  const { session, subscriptions, pass } = start(({ relay }) => {
    if (isAnswering) relay(acknowledgement({ resourceSubscriptions: ["b:1"] }));
    return undefined;
  });
  const subscribe = (uri: string) => {
    const message: McpRequest = {
      kind: "request",
      idText: "1",
      method: "resources/subscribe",
      params: readObject(JSON.stringify({ uri })),
      envelope: {
        revision: "2025-11-25",
        clientInfoText: undefined,
        clientCapabilitiesText: "{}",
        logLevel: undefined,
        progressTokenText: undefined,
      },
    };
    const received = { message, bytes: 1 };
    const asking = { caller, era: "legacy", received, relay: () => {}, session } as const;
    return subscriptions.change(asking, new AbortController().signal);
  };
  const first = subscribe("a:1");
  await pass(29_000);
  isAnswering = true;
  const second = subscribe("b:1");
  await pass(2_000);
  expect((await first).outcome).toMatchObject({ fault: { name: "upstream-timeout" } });
  expect((await second).outcome).toMatchObject({ kind: "result" });
  expect(session.listening?.uris).toEqual(["b:1"]);
});
