/** Canonical URIs and patterns: one form for one resource, none where servers could disagree. */
import { expect, test } from "bun:test";
import { canonicalPattern, canonicalUri, matchesGlob } from "../../../src/policy/uri.ts";

test.each([
  ["FILE:///a/./b/../c", "file:///a/c"],
  ["http://Example.COM:80/x", "http://example.com/x"],
  ["https://h:8443/%7euser", "https://h:8443/~user"],
  ["note://h/%2e%2e/x", "note://h/x"],
  ["note://h/a%2fb", "note://h/a%2Fb"],
  ["note://h/å b", "note://h/%C3%A5%20b"],
  ["note://h/..", "note://h/"],
  ["memo:insights", "memo:insights"],
  ["test://t/{id}", "test://t/{id}"],
  ["x:/a?q=%41#F", "x:/a?q=A#F"],
])("P11 %p is %p", (uri, want) => {
  expect(canonicalUri(uri)).toBe(want);
  expect(canonicalUri(want)).toBe(want);
});

test.each([
  "",
  "no-scheme",
  "/a/b",
  "file:///a\\b",
  "file:///a%5cb",
  "file:///a%00",
  "file:///%zz",
  "file:///%2",
  "file:///a/%252e%252e/b",
  "file:///..%2f..%2fetc",
  "x:/.//host/y",
  "file:///a\u0000",
  "x:\ud800",
  `x:${"a".repeat(9000)}`,
])("P11 %p has none", (uri) => {
  expect(canonicalUri(uri)).toBeUndefined();
});

test.each([
  ["*", "*"],
  ["Weather://*", "weather://*"],
  ["*://b", "*://b"],
  ["file:///a/../*", undefined],
  ["weather", undefined],
])("pattern %p becomes %p", (pattern, want) => {
  expect(canonicalPattern(pattern)).toBe(want);
});

test.each([
  ["a*c", "abbc", true],
  ["a*c", "abcd", false],
  ["*", "", true],
  ["", "", true],
  ["", "a", false],
  ["a**b*", "axxb", true],
  ["*ab", "aab", true],
  ["a?c", "abc", false],
])("glob %p on %p", (pattern, text, want) => {
  expect(matchesGlob(pattern, text)).toBe(want);
});

test("a hostile glob ends", () => {
  expect(matchesGlob(`${"*a".repeat(100)}b`, "a".repeat(4000))).toBe(false);
});
