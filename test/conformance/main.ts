/**
 * `npm run conformance -- [--json FILE] [--set NAME] [--column NAME]`: the official suite straight to a fixture and
 * through the compiled gateway, scenario by scenario. The last line is `N passed, N failed`: clean cells against those
 * that failed unexpectedly and entries of expected-failures.json that are stale.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../support/temporary-folder.ts";
import expected from "./expected-failures.json";
import { readServerSets, runServerSet, type ScenarioSet } from "./official-suite.ts";
import { printSet, writeJson } from "./report.ts";
import { type Column, openStage } from "./stage.ts";
import { type Cell, findUnused, judge } from "./verdict.ts";

const { values: options } = parseArgs({
  options: { json: { type: "string" }, set: { type: "string" }, column: { type: "string" } },
});

/** The suite mostly waits; more than this on two cores would make it measure the load. */
const columnsAtOnce = 2;

await using folder = temporaryFolder("conformance");
await using stage = await openStage();
const sets = (await readServerSets()).filter(({ name }) => (options.set ?? name) === name);
const columns = stage.columns.filter(({ name }) => (options.column ?? name) === name);

const cells: Cell[] = [];
const waiting = [...columns];
await Promise.all(Array.from({ length: columnsAtOnce }, runColumns));

async function runColumns(): Promise<void> {
  for (let column = waiting.shift(); column !== undefined; column = waiting.shift()) {
    for (const set of sets) cells.push(...(await runCells(set, column)));
  }
}

async function runCells(set: ScenarioSet, column: Column): Promise<readonly Cell[]> {
  const results = join(folder.path, `${set.name} ${column.name}`);
  const checks = await runServerSet(set, column.url, results);
  return set.scenarios.map((scenario) => ({
    set: set.name,
    column: column.name,
    scenario,
    isScored: set.scored.has(scenario),
    checks: checks.get(scenario),
  }));
}

const judged = columns.flatMap(({ name }) =>
  cells.filter(({ column }) => column === name).map((cell) => judge(cell, expected)),
);
for (const { name } of sets)
  printSet(
    name,
    judged.filter((cell) => cell.set === name),
  );
if (options.json !== undefined) await writeJson(options.json, judged);

const isWhole = options.set === undefined && options.column === undefined;
const unused = isWhole ? findUnused(expected, judged) : [];
for (const line of unused) console.log(`UNUSED expected failure: ${line}`);

const count = (verdict: string) => judged.filter((cell) => cell.verdict === verdict).length;
const failed = count("failed") + count("stale") + unused.length;
console.log(`\n${count("expected")} expected to fail`);
console.log(`${count("clean")} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
