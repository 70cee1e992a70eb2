/**
 * Findings about neighbours are one range, of one kind and place each.
 */
import { expect, test } from "bun:test";
import { type Finding, toRanges } from "../../../../src/audit/monitor/finding.ts";

test("neighbours of one kind in one place are one range", () => {
  const findings: Finding[] = [
    { place: "database", kind: "deleted", seq: 5 },
    { place: "spool", kind: "damaged", seq: 6 },
    { place: "database", kind: "deleted", seq: 4 },
    { place: "database", kind: "edited", seq: 6 },
    { place: "database", kind: "deleted", seq: 9 },
  ];
  expect(toRanges(findings)).toEqual([
    { place: "database", kind: "deleted", from: 4, to: 5 },
    { place: "database", kind: "deleted", from: 9, to: 9 },
    { place: "database", kind: "edited", from: 6, to: 6 },
    { place: "spool", kind: "damaged", from: 6, to: 6 },
  ]);
  expect(toRanges([])).toEqual([]);
});
