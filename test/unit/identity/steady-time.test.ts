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
