/** What is remembered of introspection answers, and for how long (J13, fault AN-14). */
import { expect, test } from "bun:test";
import { createIntrospection } from "../../../src/identity/introspection.ts";

function setUp() {
  const state = {
    nowMs: 0,
    asked: 0,
    answer: { active: true, sub: "ann" } as object | undefined | Error,
    failures: [] as string[],
  };
  const introspection = createIntrospection({
    client: {
      ask: async () => {
        state.asked += 1;
        if (state.answer instanceof Error) throw state.answer;
        return state.answer as Record<string, unknown> | undefined;
      },
    },
    clock: { nowMs: () => 0, monotonicMs: () => state.nowMs },
    rememberMs: 1000,
    askingMax: 2,
    onFailure: (why) => void state.failures.push(why),
  });
  return { state, introspection };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("one question for many askers, and none again while the answer is fresh", async () => {
  const { state, introspection } = setUp();
  await Promise.all(Array.from({ length: 50 }, () => introspection.ask("t", "d")));
  state.nowMs = 999;
  expect(await introspection.ask("t", "d")).toMatchObject({ sub: "ann" });
  expect(state.asked).toBe(1);
  expect(introspection.isFresh("d")).toBe(true);
  state.nowMs = 1000;
  expect(introspection.isFresh("d")).toBe(false);
  await introspection.ask("t", "d");
  expect(state.asked).toBe(2);
});

test("a token that is not active is remembered too", async () => {
  const { state, introspection } = setUp();
  state.answer = undefined;
  for (let n = 0; n < 5; n += 1) expect(await introspection.ask("t", "d")).toBeUndefined();
  expect(state.asked).toBe(1);
  expect(introspection.stillActive("t", "d")).toBe(false);
});

test("AN-14 what is open hears of a revocation by a question in the background", async () => {
  const { state, introspection } = setUp();
  await introspection.ask("t", "d");
  state.answer = undefined;
  state.nowMs = 999;
  expect(introspection.stillActive("t", "d")).toBe(true);
  expect(state.asked).toBe(1);
  state.nowMs = 1000;
  expect(introspection.stillActive("t", "d")).toBe(true);
  await settled();
  expect(state.asked).toBe(2);
  expect(introspection.stillActive("t", "d")).toBe(false);
});

test("an outage is bridged once over, and is not asked into twice a second", async () => {
  const { state, introspection } = setUp();
  await introspection.ask("t", "d");
  state.answer = new Error("down");
  state.nowMs = 1000;
  for (let n = 0; n < 10; n += 1) {
    expect(introspection.stillActive("t", "d")).toBe(true);
    await settled();
  }
  expect(state.asked).toBe(2);
  expect(state.failures).toEqual(["down"]);
  state.nowMs = 2000;
  expect(introspection.stillActive("t", "d")).toBe(false);
  const failed = await introspection.ask("t", "d").catch((error: Error) => error.message);
  expect(failed).toBe("down");
});

test("questions in flight are bounded", async () => {
  const { introspection } = setUp();
  const asked = ["a", "b", "c"].map((one) => introspection.ask(one, one).catch(() => "refused"));
  expect((await Promise.all(asked)).map((one) => one === "refused")).toEqual([false, false, true]);
});

test("a token never asked about is not active", () => {
  expect(setUp().introspection.stillActive("t", "d")).toBe(false);
});
