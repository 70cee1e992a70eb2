/**
 * R-03, simulated power loss: seeded schedules of the writer and its recovery on a faulty disk. `npm run fault --
 * --schedules N --seed S` runs any number; a schedule that failed is named by its seed and runs the same again. The
 * second half breaks what the spool relies on and shows that the simulation notices.
 */
import { expect, test } from "bun:test";
import { runSchedule } from "../support/power-simulation.ts";
import { faultSeed } from "../support/random.ts";
import { sabotages } from "../support/sabotage.ts";

const schedules = Number(process.env.FAULT_SCHEDULES ?? 5_000);
/** How many schedules a sabotage may stay hidden. */
const hiddenMax = 3_000;

test("R-03 ST-09 ST-13: whatever is lost, nothing acknowledged is, and the chain has no hole", () => {
  const startedMs = performance.now();
  const failed: string[] = [];
  let acknowledged = 0;
  let recoveries = 0;
  for (let index = 0; index < schedules && failed.length < 5; index += 1) {
    const seed = faultSeed + index;
    const result = runSchedule(seed);
    acknowledged += result.acknowledged;
    recoveries += result.recoveries;
    if (result.problems.length > 0) failed.push(`seed ${seed}: ${result.problems.join("; ")}`);
  }
  const perSecond = Math.round((schedules * 1000) / (performance.now() - startedMs));
  console.log(JSON.stringify({ seed: faultSeed, schedules, acknowledged, recoveries, perSecond }));
  expect(failed).toEqual([]);
  expect(acknowledged).toBeGreaterThan(schedules);
  expect(recoveries).toBeGreaterThan(schedules);
}, 7_200_000);

test("R-03: a schedule runs the same again from its seed", () => {
  expect(runSchedule(faultSeed)).toEqual(runSchedule(faultSeed));
});

for (const [what, sabotage] of Object.entries(sabotages)) {
  test(`R-03 notices that ${what}`, () => {
    for (let index = 0; index < hiddenMax; index += 1) {
      if (runSchedule(faultSeed + index, { sabotage }).problems.length === 0) continue;
      console.log(JSON.stringify({ sabotage: what, foundAfter: index + 1 }));
      return;
    }
    throw new Error(`not noticed in ${hiddenMax} schedules`);
  }, 600_000);
}
