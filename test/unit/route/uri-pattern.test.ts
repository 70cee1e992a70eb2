import { describe, expect, test } from "bun:test";
import { matchesUri } from "../../../src/route/uri-pattern.ts";

describe("matchesUri", () => {
  test.each([
    ["note://*", "note://a/b", true],
    ["note://*", "notes://a", false],
    ["*", "", true],
    ["a*c", "abc", true],
    ["a*c", "abcd", false],
    ["a*b*c", "aXbYbZc", true],
    ["note://1", "note://1", true],
    ["note://1", "note://12", false],
    ["", "", true],
    ["", "x", false],
  ] as const)("P11: %s on %s is %p", (pattern, uri, expected) => {
    expect(matchesUri(pattern, uri)).toBe(expected);
  });

  test("AZ-13: time stays linear on a pattern made to backtrack", () => {
    expect(matchesUri("*a".repeat(50), `${"a".repeat(20_000)}b`)).toBe(false);
  });
});
