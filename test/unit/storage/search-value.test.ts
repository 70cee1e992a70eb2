/** Values made fit to be searched by: equal stays equal, different stays different, and all of them fit an index. */
import { expect, test } from "bun:test";
import { toSearchValue } from "../../../src/storage/search-value.ts";

const long = "long".repeat(2000);

test.each([
  ["plain", "tools/call", "tools/call"],
  ["empty", "", ""],
  ["hostile, but harmless as a value", "'; drop table x; -- % _ $1", "'; drop table x; -- % _ $1"],
  ["NUL", "a\0b\0", "a\uFFFDb\uFFFD"],
  ["just short enough", "x".repeat(512), "x".repeat(512)],
])("%s", (_name, value, stored) => {
  expect(toSearchValue(value)).toBe(stored);
});

test("too long a value keeps its beginning and is told apart by its hash", () => {
  const stored = toSearchValue(`${long}a`);
  expect(stored).toStartWith(long.slice(0, 440));
  expect(stored.length).toBeLessThanOrEqual(512);
  expect(toSearchValue(`${long}a`)).toBe(stored);
  expect(toSearchValue(`${long}b`)).not.toBe(stored);
});
