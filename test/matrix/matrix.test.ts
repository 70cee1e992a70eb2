/**
 * The cross matrix of clients, servers and features through the compiled executable, and the table of it in
 * docs/protocol.md. What each cell must do stands in features/, what cannot be in exceptions.ts.
 */
import { describe, expect, test } from "bun:test";
import { clientColumns } from "./clients/columns.ts";
import { type Cell, runMatrix } from "./run.ts";
import { serverRows } from "./servers/rows.ts";
import { readTable, renderTable } from "./table.ts";
import { complaints, countOf, judge } from "./verdict.ts";

const judged = judge(await runMatrix());
const gaps = countOf(judged, "gap");
if (gaps > 0) console.log(`!!! ${gaps} GAPS OF OURS, see test/matrix/exceptions.ts`);

for (const server of serverRows) {
  describe(`a server on ${server.title}`, () => {
    for (const client of clientColumns) {
      const isOne = (cell: Cell) => cell.server === server.id && cell.client === client.id;
      test(`by a client on ${client.title}`, () => {
        expect(complaints(judged.filter(isOne))).toEqual([]);
      });
    }
  });
}

test("docs/protocol.md holds the table of this run (npm run matrix -- --write)", async () => {
  expect(await readTable()).toBe(renderTable(judged));
});

test("a cell that fails unnamed, and one that works though named, fail the run", () => {
  const cell = { client: "c", server: "s", feature: "f" };
  const named = [{ kind: "impossible", clients: ["c"], reason: "no c" }] as const;
  const works = { ...cell, error: undefined };
  const breaks = { ...cell, error: "broke" };
  expect(complaints(judge([breaks], []))).toEqual(["c to s, f: broke"]);
  expect(complaints(judge([works], named))).toEqual(["c to s, f: works, and is named impossible"]);
  expect(complaints(judge([breaks], named))).toEqual([]);
  expect(complaints(judge([works], []))).toEqual([]);
});
