/**
 * The window in which a cut could go unseen: nothing recorded is no window, and a quiet hour does not count.
 */
import { expect, test } from "bun:test";
import { createWindows } from "../../../../src/audit/witness/window.ts";

function create() {
  const clock = { now: 1_000_000 };
  const windows = createWindows(() => clock.now);
  const at = (size: number, coveredAtMs: number, syncedSeq: number) =>
    windows.note({ name: "w", size, coveredAtMs }, syncedSeq);
  return { clock, at, of: (syncedSeq: number) => windows.of("w", syncedSeq) };
}

test("R-12: it counts records, and seconds since the first that is not covered", () => {
  const { clock, at, of } = create();
  expect(of(0)).toEqual({ records: 0, seconds: 0 });
  clock.now += 4_000;
  expect(of(3)).toEqual({ records: 3, seconds: 4 });
  at(3, clock.now, 3);
  expect(of(3)).toEqual({ records: 0, seconds: 0 });
  clock.now += 3_600_000;
  at(3, 1_004_000, 3);
  clock.now += 500;
  expect(of(4)).toEqual({ records: 1, seconds: 0.5 });
});

test("R-12: while records keep coming it reaches back to the last checkpoint that is remembered", () => {
  const { clock, at, of } = create();
  at(10, clock.now, 10);
  clock.now += 8_000;
  at(60, clock.now - 2_000, 100);
  expect(of(100)).toEqual({ records: 40, seconds: 2 });
  clock.now += 30_000;
  at(60, clock.now - 32_000, 900);
  expect(of(900)).toEqual({ records: 840, seconds: 32 });
});
