/** Time that never runs backwards (fault AN-09). */
import { expect, test } from "bun:test";
import { createSteadyTime } from "../../../src/identity/steady-time.ts";

test("AN-09 the later of the wall clock and what was said before, moved on", () => {
  const at = { wall: 1000, monotonic: 0 };
  const nowMs = createSteadyTime({ nowMs: () => at.wall, monotonicMs: () => at.monotonic });
  const steps: [wall: number, monotonic: number, want: number][] = [
    [1000, 0, 1000],
    [1010, 10, 1010],
    [10, 20, 1020],
    [5000, 30, 5000],
    [4000, 130, 5100],
  ];
  for (const [wall, monotonic, want] of steps) {
    Object.assign(at, { wall, monotonic });
    expect(nowMs()).toBe(want);
  }
});

test("AN-09 a clock that is set back is told of, once each time", () => {
  const at = { wall: 100_000, monotonic: 0 };
  const jumps: number[] = [];
  const nowMs = createSteadyTime(
    { nowMs: () => at.wall, monotonicMs: () => at.monotonic },
    (behindMs) => void jumps.push(behindMs),
  );
  for (const wall of [100_000, 95_000, 94_999, 90_000, 100_001, 60_000]) {
    at.wall = wall;
    nowMs();
  }
  expect(jumps).toEqual([5_001, 40_001]);
});
