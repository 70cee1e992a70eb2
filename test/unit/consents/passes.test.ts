import { describe, expect, test } from "bun:test";
import { createPasses, passLifetimeMs } from "../../../src/consents/passes.ts";
import { createMemoryPasses, testSealer } from "../../support/memory-passes.ts";

describe("steps of a consent", () => {
  const setUp = () => {
    const time = { nowMs: 1_000 };
    const clock = { nowMs: () => time.nowMs, monotonicMs: () => time.nowMs };
    const store = createMemoryPasses();
    const of = (step: string) =>
      createPasses<{ readonly user: string }>({ step, store, sealer: testSealer, clock });
    return { time, of };
  };

  test("each is read by its secret alone, taken once, and over after ten minutes", async () => {
    const { time, of } = setUp();
    const passes = of("link");
    const secret = await passes.issue({ user: "ada" });
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await passes.read(secret)).toEqual({ user: "ada" });
    expect(await passes.read(`${secret}x`)).toBeUndefined();
    time.nowMs += passLifetimeMs - 1;
    expect(await passes.take(secret)).toEqual({ user: "ada" });
    expect(await passes.take(secret)).toBeUndefined();
    const late = await passes.issue({ user: "ada" });
    time.nowMs += passLifetimeMs;
    expect(await passes.take(late)).toBeUndefined();
  });

  test("a secret of one step is none of another", async () => {
    const { of } = setUp();
    const secret = await of("link").issue({ user: "ada" });
    expect(await of("return").take(secret)).toBeUndefined();
    expect(await of("link").take(secret)).toEqual({ user: "ada" });
  });
});
