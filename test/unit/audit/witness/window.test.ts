/**
 * The window in which a cut could go unseen: nothing recorded is no window, and a quiet hour does not count.
 */
import { expect, test } from "bun:test";
import { createWindows } from "../../../../src/audit/witness/window.ts";

function create() {
  const clock = { now: 1_000_000 };
  const windows = createWindows(() => clock.now);
  const at = (size: number, syncedSeq: number) => windows.note({ name: "w", size }, syncedSeq);
  return { clock, at, of: (syncedSeq: number) => windows.of("w", syncedSeq) };
}

test("R-12: it counts records, and seconds since the first that is not covered", () => {
  const { clock, at, of } = create();
  expect(of(0)).toEqual({ records: 0, seconds: 0 });
  clock.now += 4_000;
  expect(of(3)).toEqual({ records: 3, seconds: 4 });
  at(3, 3);
  expect(of(3)).toEqual({ records: 0, seconds: 0 });
  clock.now += 3_600_000;
  at(3, 3);
  clock.now += 500;
  expect(of(4)).toEqual({ records: 1, seconds: 0.5 });
});

test("R-12: while records keep coming it is the age of the oldest that no remembered checkpoint covers", () => {
  const { clock, at, of } = create();
  at(10, 10);
  // A record each 100 ms, told of twice a second; the checkpoint that comes to the witness was signed long before.
  for (let seq = 15; seq <= 100; seq += 5) {
    clock.now += 500;
    at(10, seq);
  }
  at(60, 100);
  expect(of(100)).toEqual({ records: 40, seconds: 4 });
  clock.now += 30_000;
  at(60, 900);
  expect(of(900)).toEqual({ records: 840, seconds: 34 });
  at(900, 900);
  expect(of(900)).toEqual({ records: 0, seconds: 0 });
});

test("R-12: a witness that is away for days takes no more memory, and its window is never told too short", () => {
  const { clock, at, of } = create();
  at(7, 7);
  const beganAtMs = clock.now;
  for (let seq = 8; seq < 20_000; seq += 1) {
    clock.now += 500;
    at(7, seq);
  }
  expect(of(20_000).seconds).toBe((clock.now - beganAtMs) / 1000);
  at(10_000, 20_000);
  const trueSeconds = (clock.now - beganAtMs - (10_001 - 7) * 500) / 1000;
  expect(of(20_000).seconds).toBeGreaterThanOrEqual(trueSeconds);
  expect(of(20_000).seconds).toBeLessThan(trueSeconds + 60);
});
