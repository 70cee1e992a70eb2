/**
 * `npm run conformance -- [--json FILE] [--set NAME] [--column NAME]`: the official suite straight to a fixture and
 * through the compiled gateway, scenario by scenario, and the gateway towards the suite's mock servers. The last line is
 * `N passed, N failed`: clean cells against those that failed unexpectedly and stale entries of expected-failures.json.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { clientRevisions, clientSetName, runClientSet } from "./client-side.ts";
import expected from "./expected-failures.json";
import { readServerSets, runServerSet, type ScenarioSet } from "./official-suite.ts";
import { printSet, writeJson } from "./report.ts";
import { type Column, columnNames, openStage, type Stage } from "./stage.ts";
import { type Cell, findUnused, judgeAll } from "./verdict.ts";

const { values: options } = parseArgs({
  options: { json: { type: "string" }, set: { type: "string" }, column: { type: "string" } },
});
const isWantedSet = (name: string) => (options.set ?? name) === name;
const isWantedColumn = (name: string) => (options.column ?? name) === name;

/** The suite mostly waits; more than this on two cores would make it measure the load. */
const columnsAtOnce = 2;

async function runServerSide(stage: Stage, folder: string): Promise<readonly Cell[]> {
  const sets = (await readServerSets()).filter(({ name }) => isWantedSet(name));
  const waiting = stage.columns.filter(({ name }) => isWantedColumn(name));
  const cells: Cell[] = [];
  const runColumns = async () => {
    for (let column = waiting.shift(); column !== undefined; column = waiting.shift()) {
      for (const set of sets) cells.push(...(await runCells(set, column, folder)));
    }
  };
  await Promise.all(Array.from({ length: columnsAtOnce }, runColumns));
  return cells.toSorted((left, right) => rank(left) - rank(right));
}

const rank = ({ column }: Cell) => columnNames.indexOf(column);

async function runCells(
  set: ScenarioSet,
  column: Column,
  folder: string,
): Promise<readonly Cell[]> {
  const results = join(folder, `${set.name} ${column.name}`);
  const checks = await runServerSet(set, column.url, results);
  return set.scenarios.map((scenario) => ({
    set: set.name,
    column: column.name,
    scenario,
    isScored: set.scored.has(scenario),
    checks: checks.get(scenario),
  }));
}

async function runClientSide(stage: Stage, folder: string): Promise<readonly Cell[]> {
  const revisions = clientRevisions.filter((revision) => isWantedSet(clientSetName(revision)));
  const cells: Cell[] = [];
  for (const revision of revisions) cells.push(...(await runClientSet(revision, stage, folder)));
  return cells;
}

await using folder = temporaryFolder("conformance");
await using stage = await openStage();
const cells = [
  ...(await runServerSide(stage, folder.path)),
  ...(await runClientSide(stage, folder.path)),
];

const judged = judgeAll(cells, expected);
for (const [name, ofSet] of Map.groupBy(judged, ({ set }) => set)) printSet(name, ofSet);
if (options.json !== undefined) await writeJson(options.json, judged);

const isWhole = options.set === undefined && options.column === undefined;
const unused = isWhole ? findUnused(expected, cells) : [];
for (const line of unused) console.log(`UNUSED expected failure: ${line}`);

const count = (verdict: string) => judged.filter((cell) => cell.verdict === verdict).length;
const failed = count("failed") + count("stale") + unused.length;
console.log(`\n${count("expected")} expected to fail`);
console.log(`${count("clean")} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
