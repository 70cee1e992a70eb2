/** Cells of a CSV export. */
import { expect, test } from "bun:test";
import { csvCell } from "../../../src/admin/export-format.ts";

test.each([
  ["plain", "plain"],
  [7, "7"],
  [-7, "-7"],
  ["", ""],
  ["a,b", '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ["two\nlines", '"two\nlines"'],
  ["=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"],
  ["+1", "'+1"],
  ["@sum(A1)", "'@sum(A1)"],
  ['=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`],
])("cell %p", (value, expected) => {
  expect(csvCell(value)).toBe(expected);
});
