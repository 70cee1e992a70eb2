/** Months of UTC: their ends, their names, and which of them a batch of times lies in. */
import { expect, test } from "bun:test";
import { monthAfter, monthOf, monthsOfTimes } from "../../../src/storage/month.ts";

test.each([
  ["2026-11-30T23:59:59.999Z", "2026_11", "2026-11-01", "2026-12-01"],
  ["2026-12-01T00:00:00.000Z", "2026_12", "2026-12-01", "2027-01-01"],
  ["2028-02-29T12:00:00.000Z", "2028_02", "2028-02-01", "2028-03-01"],
  ["1970-01-01T00:00:00.017Z", "1970_01", "1970-01-01", "1970-02-01"],
])("%s lies in %s", (time, name, from, until) => {
  expect(monthOf(Date.parse(time))).toEqual({
    name,
    fromMs: Date.parse(from),
    untilMs: Date.parse(until),
  });
});

test("months are counted over the end of a year", () => {
  const november = monthOf(Date.UTC(2026, 10, 5));
  expect([0, 1, 2, 14].map((count) => monthAfter(november, count).name)).toEqual([
    "2026_11",
    "2026_12",
    "2027_01",
    "2028_01",
  ]);
});

test("the months of a batch, each once and in order, and not more than asked for", () => {
  const times = ["2026-11-02", "2026-11-03", "2026-09-01", "2026-11-04", "2027-01-01"];
  const names = (countMax: number) =>
    monthsOfTimes(
      times.map((time) => Date.parse(time)),
      countMax,
    ).map(({ name }) => name);
  expect(names(9)).toEqual(["2026_09", "2026_11", "2027_01"]);
  expect(names(2)).toEqual(["2026_09", "2026_11"]);
  expect(monthsOfTimes([], 9)).toEqual([]);
});
