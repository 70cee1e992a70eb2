import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { acknowledgement, createTestListens, refused } from "../../../support/legacy-listens.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A session whose listens are honoured for whatever they ask. */
function start() {
  const script = { isAnswering: true, isRefusing: false };
  const listens = createTestListens(({ received: { message }, relay }) => {
    if (script.isRefusing) return refused("rate-limited");
    const params = message.kind === "request" ? message.params : undefined;
    if (script.isAnswering) relay(acknowledgement(JSON.parse(params?.text ?? "{}").notifications));
    return undefined;
  });
  return { ...listens, ...listens.open(), script };
}

test("a subscription that is never acknowledged ends in time, and the next has its turn", async () => {
  const { session, subscribe, pass, script } = start();
  script.isAnswering = false;
  const first = subscribe(session, "a:1");
  await pass(29_000);
  script.isAnswering = true;
  const second = subscribe(session, "b:1");
  await pass(2_000);
  expect((await first).outcome).toMatchObject({ fault: { name: "upstream-timeout" } });
  expect((await second).outcome).toMatchObject({ kind: "result" });
  expect(session.subscriptions?.uris).toEqual(["b:1"]);
});

test("the listen goes with the last subscription, and is not opened again", async () => {
  const { session, subscribe, unsubscribe, listens, pass } = start();
  await subscribe(session, "a:1");
  await unsubscribe(session, "a:1");
  expect(listens[0]?.signal.aborted).toBe(true);
  await pass(200_000);
  expect(listens).toHaveLength(1);
});

test("a smaller listen that is refused is tried again; what was given up is not heard of", async () => {
  const { session, heard, subscribe, unsubscribe, listens, pass, script } = start();
  await subscribe(session, "a:1");
  await subscribe(session, "b:1");
  script.isRefusing = true;
  await unsubscribe(session, "a:1");
  expect(listens[1]?.signal.aborted).toBe(true);
  script.isRefusing = false;
  await pass(2_000);
  expect(listens.at(-1)?.signal.aborted).toBe(false);
  expect(heard.map((text) => JSON.parse(text).params)).toEqual([{ uri: "b:1" }]);
});

test("a session that ends while its listen opens answers the subscription, and lets go of all", async () => {
  const { session, subscribe, end, listens, pass, script, loseAll } = start();
  await subscribe(session, "a:1");
  script.isAnswering = false;
  const waiting = subscribe(session, "b:1");
  await pass(1_000);
  end(session);
  expect((await waiting).outcome.kind).toBe("fault");
  expect(listens.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  loseAll();
  await pass(200_000);
  expect(listens).toHaveLength(2);
});
