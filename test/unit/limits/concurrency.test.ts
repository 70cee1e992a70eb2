/** Calls in flight: a cap for each client and one for all, and places that come back exactly once (L08). */
import { expect, test } from "bun:test";
import { createConcurrency } from "../../../src/limits/concurrency.ts";

const metrics = { count() {} };

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

test("L08 beyond the total everybody is told that the gateway is overloaded", () => {
  const concurrency = createConcurrency({ perClientMax: 2, totalMax: 1, metrics });
  concurrency.enter("a");
  expect(concurrency.enter("b")).toMatchObject({ allowed: false, fault: { name: "overloaded" } });
});
