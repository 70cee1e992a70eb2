/** Operators' patterns: what is one, and that hard ones cost no more than easy ones. */
import { describe, expect, test } from "bun:test";
import { compileLinearPattern } from "../../../src/lib/linear-pattern.ts";

test("found anywhere, replaced everywhere; what replaces it is no pattern", () => {
  const digits = compileLinearPattern("[0-9]+");
  expect(digits?.isIn("ab12")).toBe(true);
  expect(digits?.isIn("ab")).toBe(false);
  expect(digits?.replaceIn("1a22b", "$0\\")).toBe("$0\\a$0\\b");
});

describe("AZ-13 refused", () => {
  test.each([
    ["empty", ""],
    ["no expression", "("],
    ["looks behind", "(?<=a)b"],
    ["refers back", "(a)\\1"],
    ["found in nothing", "a*"],
    ["too long", "a".repeat(513)],
  ])("%s", (_name, source) => {
    expect(compileLinearPattern(source)).toBeUndefined();
  });
});

test("AZ-13: a pattern that ruins other matchers stays linear", () => {
  const pattern = compileLinearPattern("(a+)+$b");
  expect(pattern?.isIn("a".repeat(50_000))).toBe(false);
});
