/** Calls in flight: a cap for each caller and one for all, a fair line before them, places that come back once (L08). */
import { describe, expect, test } from "bun:test";
import { Cancellation } from "../../../src/lib/cancellation.ts";
import { type Admission, createConcurrency } from "../../../src/limits/concurrency.ts";

const metrics = { count() {} };
const never = new Cancellation();

test("L08 caps a client, not its neighbour; releasing twice frees one place", () => {
  const concurrency = createConcurrency({ perClientMax: 2, totalMax: 10, metrics });
  const first = concurrency.enter("a");
  concurrency.enter("a");
  expect(concurrency.enter("a")).toMatchObject({
    allowed: false,
    fault: { name: "too-many-in-flight", retryAfterMs: 1000, data: { maxInFlight: 2 } },
  });
  expect(concurrency.enter("b").allowed).toBe(true);
  if (first.allowed) {
    first.release();
    first.release();
  }
  expect(concurrency.inFlight()).toBe(2);
  expect(concurrency.enter("a").allowed).toBe(true);
  expect(concurrency.enter("a").allowed).toBe(false);
  expect(concurrency.enter("a", 3).allowed).toBe(true);
});

test("L08 OV-01 beyond the total everybody is told that the gateway is overloaded, not all to come back at once", () => {
  const concurrency = createConcurrency({ perClientMax: 2, totalMax: 1, metrics });
  concurrency.enter("a");
  const waits = new Set<number | undefined>();
  for (let n = 0; n < 100; n += 1) {
    const refused = concurrency.enter(`b${n}`);
    expect(refused).toMatchObject({ allowed: false, fault: { name: "overloaded" } });
    if (!refused.allowed) waits.add(refused.fault.retryAfterMs);
  }
  expect(waits.size).toBeGreaterThan(90);
  expect(Math.min(...[...waits].map(Number))).toBeGreaterThanOrEqual(1000);
  expect(Math.max(...[...waits].map(Number))).toBeLessThan(3000);
});

describe("L08 OV-10 the line before the places", () => {
  /** Who has a place, in the order they got it; each gives it back when asked to. */
  function setUp(totalMax: number, queueMax: number, perClientMax = 100, queueWaitMs = 60_000) {
    const concurrency = createConcurrency({
      perClientMax,
      totalMax,
      queueMax,
      queueWaitMs,
      metrics,
    });
    const served: string[] = [];
    const releases: (() => void)[] = [];
    const faults: string[] = [];
    const settle = (name: string, admission: Admission) => {
      if (!admission.allowed) faults.push(`${name} ${admission.fault.name}`);
      else {
        served.push(name);
        releases.push(admission.release);
      }
    };
    const ask = (name: string, signal = never, max = perClientMax) => {
      const key = name.slice(0, 1);
      const admission = concurrency.enterOrWait(key, max, signal);
      if (!(admission instanceof Promise)) settle(name, admission);
      else return admission.then((one) => settle(name, one));
      return undefined;
    };
    const next = async () => {
      releases.shift()?.();
      await Bun.sleep(0);
    };
    return { concurrency, ask, next, served, faults };
  }

  test("callers are served in turn, whoever sent more", async () => {
    const { concurrency, ask, next, served } = setUp(1, 10);
    for (const name of ["a1", "a2", "a3", "a4", "b1", "c1", "b2"]) ask(name);
    expect(concurrency.waiting()).toBe(6);
    for (let n = 0; n < 6; n += 1) await next();
    expect(served).toEqual(["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
    expect([concurrency.waiting(), concurrency.inFlight()]).toEqual([0, 1]);
  });

  test("a caller at its own cap waits for its own place and holds nobody up", async () => {
    const { ask, next, served } = setUp(10, 10, 1);
    for (const name of ["a1", "a2", "b1", "b2"]) ask(name);
    expect(served).toEqual(["a1", "b1"]);
    await next();
    expect(served).toEqual(["a1", "b1", "a2"]);
    await next();
    expect(served).toEqual(["a1", "b1", "a2", "b2"]);
  });

  test("a full line makes room for a caller with fewer in it, else it refuses", async () => {
    const { concurrency, ask, served, faults, next } = setUp(1, 3);
    for (const name of ["a1", "a2", "a3", "a4"]) ask(name);
    ask("a5");
    expect(faults).toEqual(["a5 overloaded"]);
    ask("b1");
    await Bun.sleep(0);
    expect(faults).toEqual(["a5 overloaded", "a4 overloaded"]);
    ask("b2");
    expect(faults.at(-1)).toBe("b2 overloaded");
    expect(concurrency.waiting()).toBe(3);
    for (let n = 0; n < 3; n += 1) await next();
    expect(served).toEqual(["a1", "a2", "b1", "a3"]);
  });

  test("who goes away leaves the line at once, and takes no place", async () => {
    const { concurrency, ask, next, served, faults } = setUp(1, 3);
    const gone = new Cancellation();
    ask("a1");
    const waiting = ask("b1", gone);
    ask("c1");
    gone.abort();
    await waiting;
    expect(faults).toEqual(["b1 cancelled"]);
    expect(concurrency.waiting()).toBe(1);
    ask("d1", gone);
    expect(faults).toEqual(["b1 cancelled", "d1 cancelled"]);
    await next();
    expect(served).toEqual(["a1", "c1"]);
  });

  test("nobody waits longer than is configured", async () => {
    const { concurrency, ask, faults } = setUp(1, 3, 1, 5);
    ask("a1");
    await Promise.all([ask("b1"), ask("a2")]);
    expect(faults).toEqual(["b1 overloaded", "a2 too-many-in-flight"]);
    expect([concurrency.waiting(), concurrency.inFlight()]).toEqual([0, 1]);
  });
});
