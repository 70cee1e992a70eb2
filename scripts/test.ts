/**
 * `npm test`: everything that CI runs, in order of cost; `--fast` is `npm run check`, the part that takes seconds.
 * Nothing stops early. The last line is `N passed, N failed` over all steps; any failure makes the exit code 1.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { add, bun, nothing, repository, runCommand, runTests, type Tally, tool } from "./step.ts";

type Step = () => Promise<Tally>;

/** Two files at a time: most of these tests wait for something most of their time. */
const sideBySide = ["--parallel=2"];

const checks: readonly Step[] = [
  () => runCommand("format and lint", [tool("biome"), "ci", "--colors=off", "."]),
  () => runCommand("types", [tool("tsc"), "--noEmit"]),
  () => runIfThere("generated files", ["scripts/gen.ts", "scripts/gen-config-schema.ts"]),
  () =>
    runTests("tidy", [
      "test/tidy.test.ts",
      "test/tidy-checks.test.ts",
      "test/step.test.ts",
      "test/free-port.test.ts",
    ]),
  () => runTests("unit", ["test/unit"], {}, ["--timeout=300000"]),
];

const costlier: readonly Step[] = [
  () => runCommand("build", [bun, "scripts/build.ts", "--if-needed"]),
  () => runTests("contract", ["test/contract"], {}, ["--timeout=60000", ...sideBySide]),
  () => runTests("end to end", ["test/e2e"], {}, ["--timeout=120000", ...sideBySide]),
  () => runTests("cross matrix", ["test/matrix"], {}, ["--timeout=120000"]),
  () => runTests("conformance", ["test/conformance"], {}, ["--timeout=120000"]),
  () => runTests("fault, short", ["test/fault"], {}, ["--timeout=300000", ...sideBySide]),
];

/** The generators in check mode: each fails where its output differs from what is committed. */
async function runIfThere(title: string, scripts: readonly string[]): Promise<Tally> {
  let tally = nothing;
  for (const script of scripts) {
    if (!existsSync(join(repository, script))) console.log(`no ${script} yet`);
    else tally = add(tally, await runCommand(`${title}: ${script}`, [bun, script, "--check"]));
  }
  return tally;
}

let total = nothing;
const steps = process.argv.includes("--fast") ? checks : [...checks, ...costlier];
for (const step of steps) total = add(total, await step());

console.log("");
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
