/** One source before authentication: its rate, and the growing pause after failed credentials (fault AN-19). */
import { expect, test } from "bun:test";
import { createSourceLimit } from "../../../src/limits/source-limit.ts";

function setUp(keysMax = 100) {
  const time = { ms: 0 };
  const clock = { nowMs: () => 0, monotonicMs: () => time.ms };
  const limit = createSourceLimit({
    requestsPerMinute: 60,
    burst: 1000,
    failuresFree: 2,
    clock,
    metrics: { count() {} },
    keysMax,
  });
  return { limit, time };
}

test("AN-19 the pause doubles with each failure up to its bound, for the whole /64 and nobody else", () => {
  const { limit, time } = setUp();
  const waits: (number | undefined)[] = [];
  for (let n = 0; n < 11; n += 1) {
    limit.noteFailure(`2001:db8:1:2::${n}`);
    waits.push(limit.take("2001:db8:1:2:ffff::1")?.retryAfterMs);
    time.ms += 0.001;
  }
  expect(waits).toEqual([
    undefined,
    undefined,
    1000,
    2000,
    4000,
    8000,
    16000,
    32000,
    60000,
    60000,
    60000,
  ]);
  expect(limit.take("2001:db8:1:3::1")).toBeUndefined();
  expect(limit.take("192.0.2.1")).toBeUndefined();
  time.ms += 60_000;
  expect(limit.take("2001:db8:1:2::1")).toBeUndefined();
  time.ms += 600_001;
  limit.noteFailure("2001:db8:1:2::1");
  expect(limit.take("2001:db8:1:2::1")).toBeUndefined();
});

test("a source has a rate of its own", () => {
  const { limit, time } = setUp();
  for (let n = 0; n < 1000; n += 1) expect(limit.take("a")).toBeUndefined();
  expect(limit.take("a")).toMatchObject({ name: "rate-limited", retryAfterMs: 1000 });
  time.ms = 1000;
  expect(limit.take("a")).toBeUndefined();
});
