/**
 * Jumps of the clock are on record (ST-18): set back, set forward, and a process that stood still.
 */
import { afterEach, expect, test } from "bun:test";
import { findJumpAtStart, watchClock } from "../../../src/audit/clock-watch.ts";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { until } from "../../support/deadline.ts";
import { openSpooledLog } from "../../support/spooled-log.ts";

let stop = () => {};
afterEach(() => stop());

function watch() {
  const start = { wall: 1_000_000, monotonic: 0 };
  const clock = { nowMs: () => start.wall, monotonicMs: () => start.monotonic };
  const drafts: RecordDraft[] = [];
  stop = watchClock({ clock, record: (draft) => drafts.push(draft), tickMs: 1 });
  return {
    drafts,
    pass: (wall: number, monotonic = wall) => {
      start.wall += wall;
      start.monotonic += monotonic;
    },
  };
}

test.each([
  ["an hour back", -3_600_000, 0, { kind: "backward", byMs: -3_600_000 }],
  ["two seconds forward", 2_000, 0, { kind: "forward", byMs: 2_000 }],
  ["ten minutes asleep", 600_001, 600_001, { kind: "pause", byMs: 600_000 }],
  ["a pause that only the wall clock saw", 600_000, 0, { kind: "forward", byMs: 600_000 }],
])("ST-18: %s", async (_what, wall, monotonic, facts) => {
  const { drafts, pass } = watch();
  pass(wall, monotonic);
  const [draft] = await until("a record", () => drafts.length > 0 && drafts);
  expect(draft).toMatchObject({ event: "clock.jump", class: "A", facts });
  pass(50);
  await Bun.sleep(5);
  expect(drafts).toHaveLength(1);
});

test("ST-18: a clock that is slewed, and a busy moment, are no jumps", async () => {
  const { drafts, pass } = watch();
  for (let tick = 0; tick < 5; tick += 1) {
    pass(900, 1_000);
    await Bun.sleep(3);
  }
  pass(5_000);
  await Bun.sleep(5);
  expect(drafts).toEqual([]);
});

test("ST-18: at a start, a last record from well ahead of now is a jump", async () => {
  await using log = await openSpooledLog();
  await log.append({});
  let lastTimeMs: number | undefined;
  const at = (nowMs: number) => {
    const last = { lastSeq: log.syncedSeq(), lastTimeMs };
    return findJumpAtStart({ nowMs: () => nowMs, monotonicMs: () => 0 }, log.spoolDir, last);
  };
  const behind = await at(Date.now() - 3_600_000);
  expect(behind).toMatchObject({ event: "clock.jump", facts: { kind: "backward" } });
  expect(Number(behind?.facts.byMs)).toBeLessThan(-3_590_000);
  expect(await at(Date.now() - 60_000)).toBeUndefined();
  expect(await at(Date.now() + 3_600_000)).toBeUndefined();
  // Where recovery read it, nothing is read again.
  lastTimeMs = Date.now() + 3_600_000;
  expect(await at(Date.now())).toMatchObject({ facts: { kind: "backward" } });
});
