/** Buckets of callers and their targets: full at the start, refilled steadily, all of a call's or none, bounded. */
import { describe, expect, test } from "bun:test";
import { type BucketName, type Charge, namedLimit } from "../../../src/limits/charge.ts";
import { createLimiter } from "../../../src/limits/limiter.ts";

function charge(
  name: BucketName,
  key: string,
  more: Partial<Charge["limit"]> = {},
  cost = 1,
): Charge {
  const { capacity = 3, perMinute = 60 } = more;
  return { limit: namedLimit(name, capacity, perMinute), key, cost };
}

function setUp(keysMax?: number) {
  const time = { ms: 0 };
  const clock = { nowMs: () => 0, monotonicMs: () => time.ms };
  const counted: string[] = [];
  const metrics = {
    count: (_name: string, labels?: Readonly<Record<string, string>>) =>
      void counted.push(labels?.limit ?? ""),
  };
  const limiter = createLimiter({ clock, metrics, ...(keysMax === undefined ? {} : { keysMax }) });
  return { ...limiter, time, counted };
}

const tool = (key: string, cost = 1) => charge("tool", key, { capacity: 2, perMinute: 30 }, cost);

describe("L01 L02 L03 token buckets", () => {
  test("start full, empty by one, refill at the rate; everybody has their own", () => {
    const { take, time, counted } = setUp();
    const ask = (key: string) => take([charge("client", key)]).allowed;
    expect([ask("a"), ask("a"), ask("a"), ask("a")]).toEqual([true, true, true, false]);
    time.ms = 999;
    expect(ask("a")).toBe(false);
    time.ms = 1000;
    expect(ask("a")).toBe(true);
    expect(ask("b")).toBe(true);
    expect(take([charge("user", "a")]).allowed).toBe(true);
    expect(counted).toEqual(["client", "client"]);
  });

  test("L05 the refusal says when to come back and what the limit is", () => {
    const { take, time } = setUp();
    for (let n = 0; n < 3; n += 1) take([charge("client", "a")]);
    time.ms = 250;
    expect(take([charge("client", "a")])).toMatchObject({
      allowed: false,
      fault: { name: "rate-limited", retryAfterMs: 750, reason: "client-rate" },
      state: { limit: 3, remaining: 0, resetSeconds: 3, policy: '"client";q=3;w=3' },
    });
  });

  test("L03 the first that is short is reported, and what was taken before it comes back", () => {
    const { take, time } = setUp();
    const call = () => take([charge("client", "a"), tool("a t")]);
    expect(call().state).toMatchObject({ remaining: 1, policy: '"tool";q=2;w=4' });
    expect(call().state).toMatchObject({ remaining: 0, policy: '"tool";q=2;w=4' });
    for (let n = 0; n < 5; n += 1) {
      expect(call()).toMatchObject({ allowed: false, fault: { reason: "tool-rate" } });
    }
    expect(take([charge("client", "a"), tool("a other")]).allowed).toBe(true);
    expect(call()).toMatchObject({ allowed: false, fault: { reason: "client-rate" } });
    time.ms = 2000;
    expect(call().allowed).toBe(true);
  });

  test("a dear call takes its cost; one dearer than the bucket takes all of it", () => {
    const { take, giveBack, time } = setUp();
    expect(take([charge("client", "a", {}, 2)]).state).toMatchObject({ remaining: 1 });
    expect(take([charge("client", "a", {}, 2)])).toMatchObject({ fault: { retryAfterMs: 1000 } });
    giveBack([charge("client", "a", {}, 2)]);
    expect(take([charge("client", "a", {}, 500)]).state).toMatchObject({ remaining: 0 });
    time.ms = 2_000;
    expect(take([charge("client", "a", {}, 500)])).toMatchObject({
      allowed: false,
      fault: { retryAfterMs: 1000 },
    });
  });

  test("a limit that was changed holds at once; one that never refills says an hour", () => {
    const { take } = setUp();
    expect(take([charge("client", "a", { capacity: 100 })]).state).toMatchObject({ limit: 100 });
    expect(take([charge("client", "a", { capacity: 1 })]).state).toMatchObject({ remaining: 0 });
    const never = charge("client", "y", { capacity: 1, perMinute: 0 });
    take([never]);
    expect(take([never])).toMatchObject({ fault: { retryAfterMs: 3_600_000 } });
  });

  test("OV-03 many keys of one kind push no bucket of another out; memory is bounded", () => {
    const { take } = setUp(4);
    for (let n = 0; n < 3; n += 1) take([charge("client", "a"), tool(`a ${n}`)]);
    for (let n = 0; n < 1000; n += 1) take([tool(`b ${n}`)]);
    expect(take([charge("client", "a")]).allowed).toBe(false);
  });

  test("OV-03 a clock that stands still or goes back adds nothing", () => {
    const { take, time } = setUp();
    time.ms = 5000;
    for (let n = 0; n < 3; n += 1) take([charge("client", "a")]);
    time.ms = 0;
    expect(take([charge("client", "a")]).allowed).toBe(false);
  });

  test("OV-03 in any span at most the rate and one burst", () => {
    const { take, time } = setUp();
    let admitted = 0;
    for (time.ms = 0; time.ms < 60_000; time.ms += 7) {
      if (take([charge("client", "a")]).allowed) admitted += 1;
    }
    expect(admitted).toBeGreaterThanOrEqual(60);
    expect(admitted).toBeLessThanOrEqual(63);
  });
});
