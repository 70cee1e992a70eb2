import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import {
  asPrivate,
  joinHints,
  readHints,
  renderHints,
  withTtlAtMost,
} from "../../../src/route/hints.ts";

describe("hints", () => {
  test.each([
    ['{"ttlMs":60000,"cacheScope":"public"}', 60_000, true],
    ['{"ttlMs":1,"cacheScope":"private"}', 1, false],
    ["{}", undefined, false],
    ['{"ttlMs":-1,"cacheScope":"PUBLIC"}', 0, false],
    ['{"ttlMs":1.5,"cacheScope":true}', 0, false],
    ['{"ttlMs":"9","cacheScope":null}', 0, false],
    ['{"ttlMs":1e9}', 0, false],
  ])("CA-05: %s is read with distrust", (source, ttlMs, isPublic) => {
    expect(readHints(readObject(source))).toEqual({ ttlMs, isPublic });
  });

  test("CA-16: parts join to the strictest of all", () => {
    const open = { ttlMs: 9, isPublic: true };
    expect(joinHints([open, { ttlMs: 4, isPublic: true }])).toEqual({ ttlMs: 4, isPublic: true });
    expect(joinHints([open, { ttlMs: undefined, isPublic: false }])).toEqual({
      ttlMs: 9,
      isPublic: false,
    });
    expect(joinHints([])).toEqual({ ttlMs: undefined, isPublic: false });
    expect(renderHints(open)).toBe(',"ttlMs":9,"cacheScope":"public"');
  });

  test("PR-04: the scope alone is rewritten", () => {
    const result = readObject('x { "cacheScope" : "public" , "n":1.0}', 2);
    expect(objectText(asPrivate(result))).toBe('{ "cacheScope" : "private" , "n":1.0}');
    const kept = readObject('{"cacheScope":"private"}');
    expect(asPrivate(kept)).toBe(kept);
    expect(objectText(asPrivate(readObject('{"cacheScope":7}')))).toBe('{"cacheScope":"private"}');
  });
});

test.each([
  ['{"a": 1}', '{"a": 1}'],
  ['{"ttlMs":5, "a":1}', '{"ttlMs":5, "a":1}'],
  ['{ "a": 1e400 ,"ttlMs":60000}', '{ "a": 1e400 ,"ttlMs":10}'],
  ['{"ttlMs":"x"}', '{"ttlMs":0}'],
  ['{"ttlMs":-7}', '{"ttlMs":0}'],
])("CA-05: %s is told as %s where 10.9 ms are left", (given, told) => {
  expect(objectText(withTtlAtMost(readObject(given), 10.9))).toBe(told);
  const within = `[${given}]`;
  expect(objectText(withTtlAtMost(readObject(within, 1), 10.9))).toBe(told);
});
