/** Buckets of clients and tools: full at the start, refilled steadily, refunded, bounded. */
import { describe, expect, test } from "bun:test";
import { createLimiter } from "../../../src/limits/limiter.ts";

const defaults = { requestsPerMinute: 60, burst: 3, toolRequestsPerMinute: 30, toolBurst: 2 };

function setUp(keysMax?: number) {
  const time = { ms: 0 };
  const clock = { nowMs: () => 0, monotonicMs: () => time.ms };
  const counted: string[] = [];
  const metrics = {
    count: (_name: string, labels?: Readonly<Record<string, string>>) =>
      void counted.push(labels?.limit ?? ""),
  };
  const limiter = createLimiter({
    defaults,
    clock,
    metrics,
    ...(keysMax === undefined ? {} : { keysMax }),
  });
  const take = (clientKey: string, tool?: string, limits = {}) =>
    limiter.take({ clientKey, tool, limits });
  return { take, time, counted };
}

describe("L01 L03 token buckets", () => {
  test("start full, empty by one, refill at the rate", () => {
    const { take, time, counted } = setUp();
    expect([take("a"), take("a"), take("a"), take("a")].map((one) => one.allowed)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    time.ms = 999;
    expect(take("a").allowed).toBe(false);
    time.ms = 1000;
    expect(take("a").allowed).toBe(true);
    expect(take("b").allowed).toBe(true);
    expect(counted).toEqual(["client", "client"]);
  });

  test("L05 the refusal says when to come back and what the limit is", () => {
    const { take, time } = setUp();
    for (let n = 0; n < 3; n += 1) take("a");
    time.ms = 250;
    expect(take("a")).toMatchObject({
      allowed: false,
      fault: { name: "rate-limited", retryAfterMs: 750 },
      state: { limit: 3, remaining: 0, resetSeconds: 3, policy: '"client";q=3;w=3' },
    });
  });

  test("the tool's bucket is its own, and its refusal costs the client nothing", () => {
    const { take, time } = setUp();
    take("a", "s__t");
    expect(take("a", "s__t").state).toMatchObject({ remaining: 0, policy: '"tool";q=2;w=4' });
    for (let n = 0; n < 5; n += 1) expect(take("a", "s__t").allowed).toBe(false);
    expect(take("a", "s__other").allowed).toBe(true);
    time.ms = 2000;
    expect(take("a", "s__t").allowed).toBe(true);
  });

  test("a client's own limits replace the defaults, at once when lowered", () => {
    const { take } = setUp();
    expect(take("a", undefined, { burst: 100 }).state).toMatchObject({ limit: 100, remaining: 99 });
    expect(take("a", undefined, { burst: 1 }).state).toMatchObject({ limit: 1, remaining: 0 });
    expect(take("z", undefined, { burst: 0 }).allowed).toBe(false);
    take("y", undefined, { burst: 1, requestsPerMinute: 0 });
    expect(take("y", undefined, { burst: 1, requestsPerMinute: 0 })).toMatchObject({
      fault: { retryAfterMs: 3_600_000 },
    });
  });

  test("naming many tools does not refill the client's bucket; names never run together", () => {
    const { take } = setUp(4);
    for (let n = 0; n < 3; n += 1) take("a", `tool-${n}-${"x".repeat(300 * (n % 2))}`);
    expect(take("a", "another").allowed).toBe(false);
    take("b", "cd");
    take("b", "cd");
    expect(take("bc", "d").allowed).toBe(true);
  });

  test("a clock that stands still or goes back adds nothing", () => {
    const { take, time } = setUp();
    time.ms = 5000;
    for (let n = 0; n < 3; n += 1) take("a");
    time.ms = 0;
    expect(take("a").allowed).toBe(false);
  });
});
