/**
 * `npm run fault`: the tests of test/fault, longer than in CI. Its options reach the tests as environment variables:
 * `--cycles N` as FAULT_CYCLES, `--schedules N` of simulated power loss as FAULT_SCHEDULES, `--tamperings N` of each kind
 * as FAULT_TAMPERINGS, `--flips N` of single bits as FAULT_FLIPS, `--records N` of the person who is erased under load as
 * ERASE_RECORDS (1000000 is the goal), `--rotations N` of keys, one a second, as ROTATION_SECONDS (600 is the goal),
 * `--seed S` as FAULT_SEED; `--only NAME` picks tests by name; `--json FILE` keeps the result.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { runTests } from "./step.ts";

const { values: options } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string" },
    cycles: { type: "string", default: "200" },
    schedules: { type: "string", default: "100000" },
    tamperings: { type: "string", default: "1000" },
    flips: { type: "string", default: "10000" },
    records: { type: "string", default: "10000" },
    rotations: { type: "string", default: "120" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
  },
});

const env = {
  FAULT_CYCLES: options.cycles,
  FAULT_SCHEDULES: options.schedules,
  FAULT_TAMPERINGS: options.tamperings,
  FAULT_FLIPS: options.flips,
  ERASE_RECORDS: options.records,
  ROTATION_SECONDS: options.rotations,
  FAULT_SEED: options.seed,
};
const only = options.only === undefined ? [] : [`--test-name-pattern=${options.only}`];
const title = `fault, ${options.cycles} cycles, seed ${options.seed}`;
const tally = await runTests(title, ["test/fault"], env, ["--timeout=7200000", ...only]);
if (options.json !== undefined) {
  const { passed, failed } = tally;
  const notes = [`seed ${options.seed}`, `${options.cycles} cycles`];
  await Bun.write(options.json, JSON.stringify({ figures: {}, passed, failed, notes }, null, 2));
}
console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed === 0 ? 0 : 1;
