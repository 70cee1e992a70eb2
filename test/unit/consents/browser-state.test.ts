import { describe, expect, test } from "bun:test";
import { createBrowserStates } from "../../../src/consents/browser-state.ts";
import { passLifetimeMs } from "../../../src/consents/passes.ts";
import { testSealer } from "../../support/memory-passes.ts";

describe("what a browser carries", () => {
  test("opens for its flow and step, in time, as it was", () => {
    const time = { nowMs: 5 };
    const clock = { nowMs: () => time.nowMs, monotonicMs: () => 0 };
    const states = createBrowserStates(testSealer, clock);
    const state = { step: "decide", pass: "p", csrf: "c" } as const;
    const sealed = states.seal("flow", state);
    expect(sealed).not.toContain("csrf");
    expect(states.open("flow", "decide", sealed)).toEqual(state);
    expect(states.open("other", "decide", sealed)).toBeUndefined();
    expect(states.open("flow", "return", sealed)).toBeUndefined();
    expect(states.open("flow", "decide", `${sealed.slice(0, -2)}AA`)).toBeUndefined();
    expect(states.open("flow", "decide", "{}")).toBeUndefined();
    expect(states.open("flow", "decide", undefined)).toBeUndefined();
    time.nowMs += passLifetimeMs;
    expect(states.open("flow", "decide", sealed)).toBeUndefined();
  });
});
