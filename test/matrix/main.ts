/**
 * `npm run matrix -- [--write] [--client ID] [--server ID] [--feature NAME]`: the cross matrix, cell by cell, through the
 * compiled executable. `--write` puts the table of a whole run into docs/protocol.md.
 */
import { parseArgs } from "node:util";
import { runMatrix } from "./run.ts";
import { renderTable, writeTable } from "./table.ts";
import { complaints, countOf, judge } from "./verdict.ts";

const { values: options } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    client: { type: "string" },
    server: { type: "string" },
    feature: { type: "string" },
  },
});
const { write, ...selection } = options;

const judged = judge(await runMatrix(selection));
const failures = complaints(judged);
for (const line of failures) console.log(`FAILED ${line}`);

const isWhole = Object.values(selection).every((value) => value === undefined);
if (isWhole) console.log(`\n${renderTable(judged)}`);
if (write && isWhole && failures.length === 0) await writeTable(renderTable(judged));

const gaps = countOf(judged, "gap");
if (gaps > 0) console.log(`\n!!! ${gaps} GAPS OF OURS, see test/matrix/exceptions.ts`);
console.log(`\n${countOf(judged, "impossible")} impossible, ${gaps} gaps`);
console.log(`${countOf(judged, "works")} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);
