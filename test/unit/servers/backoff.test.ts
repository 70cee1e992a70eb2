/** Waiting before connecting again. */
import { expect, test } from "bun:test";
import { reconnectDelayMs } from "../../../src/servers/backoff.ts";

const limits = { firstMs: 200, maxMs: 30_000 };

test.each([
  [0, 1, 0],
  [1, 1, 0],
  [2, 1, 200],
  [2, 0, 100],
  [5, 1, 1_600],
  [50, 1, 30_000],
  [5_000, 0, 15_000],
])("after %d losses, random %d: %d ms", (losses, random, delayMs) => {
  expect(reconnectDelayMs(losses, limits, random)).toBe(delayMs);
});
