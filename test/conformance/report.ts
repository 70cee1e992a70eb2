/** The tables people read, and the JSON programs read. Every line comes from judged cells. */
import type { Judged, Verdict } from "./verdict.ts";

const marks: Readonly<Record<Verdict, string>> = {
  clean: "clean",
  failed: "FAILED",
  expected: "expected",
  stale: "STALE",
};

/** One set: a row for each scenario, a column for each place, and what was in the way below. */
export function printSet(set: string, cells: readonly Judged[]): void {
  const columns = [...new Set(cells.map(({ column }) => column))];
  const scenarios = [...new Set(cells.map(({ scenario }) => scenario))];
  const width = Math.max(...scenarios.map((name) => name.length)) + 4;
  const columnWidth = Math.max(...columns.map((name) => name.length), "expected".length) + 2;
  const line = (first: string, rest: readonly string[]) =>
    console.log(`${first.padEnd(width)}${rest.map((text) => text.padEnd(columnWidth)).join("")}`);

  console.log(`\n${set}   (* = scored for the revision)`);
  line("", columns);
  for (const scenario of scenarios) {
    const row = cells.filter((cell) => cell.scenario === scenario);
    const marksOfRow = columns.map((column) => {
      const cell = row.find((one) => one.column === column);
      return cell === undefined ? "" : marks[cell.verdict];
    });
    line(`${row[0]?.isScored ? "*" : " "} ${scenario}`, marksOfRow);
  }
  line(
    "  clean of scored",
    columns.map((column) => fraction(cells, column, true)),
  );
  line(
    "  clean of all",
    columns.map((column) => fraction(cells, column, false)),
  );
  const expected = cells.filter(({ verdict }) => verdict === "expected");
  for (const [reason, excused] of Map.groupBy(expected, (cell) => cell.reason ?? "")) {
    const where = [...new Set(excused.map(({ column }) => column))].join(", ");
    const what = [...new Set(excused.map(({ scenario }) => scenario))].join(", ");
    console.log(`  expected in ${where}: ${what}\n      because ${reason}`);
  }
  for (const cell of cells) {
    if (cell.verdict !== "failed" && cell.verdict !== "stale") continue;
    console.log(`  ${marks[cell.verdict]} ${cell.column}: ${cell.scenario}`);
    for (const { text } of cell.complaints) console.log(`      ${text}`);
  }
}

function fraction(cells: readonly Judged[], column: string, scoredOnly: boolean): string {
  const counted = cells.filter((cell) => cell.column === column && (cell.isScored || !scoredOnly));
  return `${counted.filter(({ complaints }) => complaints.length === 0).length}/${counted.length}`;
}

export async function writeJson(path: string, cells: readonly Judged[]): Promise<void> {
  const rows = cells.map(({ checks: _, ...kept }) => kept);
  await Bun.write(path, `${JSON.stringify(rows, null, 2)}\n`);
}
