import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { ErrorName } from "../../../../src/errors/catalogue.ts";
import { keptFromOf } from "../../../support/kept-from.ts";
import {
  acknowledgement,
  createTestListens,
  ended,
  refused,
  testCaller,
} from "../../../support/legacy-listens.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const toolsChanged = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';
const lists = acknowledgement({ toolsListChanged: true });

/** Listens that last. */
function startLasting() {
  return createTestListens(({ relay }) => void relay(lists));
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
    const { open, shared, listens, pass, end } = createTestListens(() => refused(name));
    const { session } = open();
    shared.join(testCaller, session);
    await pass(2_000);
    expect(listens.length > 1).toBe(isRepeated);
    end(session);
    const before = listens.length;
    await pass(200_000);
    expect(listens.length).toBe(before);
  });
}

test("what was refused for good is tried with the next session, and when one is heard anew", async () => {
  const { open, shared, listens, pass } = createTestListens(() => refused("policy-denied"));
  const { session } = open();
  shared.join(testCaller, session);
  await pass(500);
  shared.join(testCaller, open().session);
  await pass(500);
  shared.join(testCaller, session);
  expect(listens).toHaveLength(3);
});

test("listens that are lost at once are opened ever more slowly, one that lasted quickly", async () => {
  let lasts = false;
  const { open, shared, listens, pass, loseAll } = createTestListens(({ relay }) => {
    relay(lists);
    return lasts ? undefined : ended;
  });
  shared.join(testCaller, open().session);
  await pass(10_000);
  // After at most 1, 2 and 4 seconds, and at least half of each.
  expect(listens.length).toBeGreaterThanOrEqual(4);
  expect(listens.length).toBeLessThanOrEqual(5);
  await pass(600_000);
  const slow = listens.length;
  await pass(120_000);
  expect(listens.length - slow).toBeLessThanOrEqual(5);
  lasts = true;
  await pass(200_000);
  const lasting = listens.length;
  lasts = false;
  loseAll();
  await pass(1_500);
  expect(listens.length).toBe(lasting + 1);
});

test("where nothing can change, the end of the listen is its end", async () => {
  const { open, shared, listens, pass } = createTestListens(({ relay }) => {
    relay(acknowledgement({}));
    return ended;
  });
  shared.join(testCaller, open().session);
  await pass(200_000);
  expect(listens.length).toBe(1);
});

test("one that is never acknowledged is given up, and tried again", async () => {
  const { open, shared, listens, pass } = createTestListens(() => undefined);
  shared.join(testCaller, open().session);
  await pass(32_000);
  expect(listens.map(({ signal }) => signal.aborted)).toEqual([true, false]);
});

test("two sessions share one; it outlives the first of them by much, the last by a little", async () => {
  const { open, shared, listens, pass, end } = startLasting();
  const [first, second] = [open(), open()];
  for (const { session } of [first, second]) shared.join(testCaller, session);
  expect(listens).toHaveLength(1);
  end(first.session);
  await pass(200_000);
  listens[0]?.asking.relay(toolsChanged);
  expect([first.heard, second.heard]).toEqual([[], [toolsChanged]]);
  end(second.session);
  await pass(1_000);
  const third = open();
  shared.join(testCaller, third.session);
  await pass(200_000);
  expect(listens.map(({ signal }) => signal.aborted)).toEqual([false]);
  end(third.session);
  await pass(3_000);
  expect(listens.map(({ signal }) => signal.aborted)).toEqual([true]);
  listens[0]?.asking.relay(toolsChanged);
  expect(third.heard).toEqual([]);
});

test("another credential or origin shares nothing", () => {
  const { open, shared, listens } = startLasting();
  const sessions = [open(), open("other"), open()];
  const callers = [testCaller, testCaller, { ...testCaller, origin: "https://app.test" }];
  for (const [at, { session }] of sessions.entries()) {
    shared.join(callers[at] ?? testCaller, session);
  }
  expect(listens).toHaveLength(3);
  for (const { asking } of listens) asking.relay(toolsChanged);
  expect(sessions.map(({ heard }) => heard)).toEqual([
    [toolsChanged],
    [toolsChanged],
    [toolsChanged],
  ]);
});

test("a lost listen is opened once, by the newest session; all are told, also one that came since", async () => {
  const { open, shared, listens, pass, loseAll, end } = startLasting();
  const [first, second, third] = [open(), open(), open()];
  for (const { session } of [first, second]) shared.join(testCaller, session);
  await pass(61_000);
  loseAll();
  await pass(0);
  await Promise.resolve();
  shared.join(testCaller, third.session);
  end(second.session);
  expect(listens).toHaveLength(1);
  await pass(1_500);
  expect(listens).toHaveLength(2);
  expect(listens[1]?.asking.sessionId).toBe(third.session.publicId);
  expect([first.heard, second.heard, third.heard]).toEqual([[toolsChanged], [], [toolsChanged]]);
});

test("lost while nobody is left, it stays closed", async () => {
  const { open, shared, listens, pass, loseAll, end } = startLasting();
  const { session } = open();
  shared.join(testCaller, session);
  end(session);
  loseAll();
  await pass(200_000);
  expect(listens).toHaveLength(1);
  shared.join(testCaller, open().session);
  expect(listens).toHaveLength(2);
});

test("sessions with a new credential join those that have it, told of everything", async () => {
  const { open, shared, listens, pass, loseAll } = startLasting();
  const [moves, stays, has] = [open("old"), open("old"), open("new")];
  for (const { session } of [moves, stays]) shared.join(testCaller, session);
  moves.session.from = keptFromOf("new");
  loseAll();
  await pass(0);
  await Promise.resolve();
  shared.join(testCaller, has.session);
  await pass(1_500);
  const openers = [moves, has, stays].map(({ session }) => session.publicId);
  expect(listens.map(({ asking }) => asking.sessionId)).toEqual(openers);
  expect([moves.heard, stays.heard, has.heard]).toEqual([[toolsChanged], [toolsChanged], []]);
  listens[1]?.asking.relay(toolsChanged);
  expect([moves.heard, stays.heard, has.heard].map(({ length }) => length)).toEqual([2, 1, 1]);
});
