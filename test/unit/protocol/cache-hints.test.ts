/** `ttlMs` and `cacheScope`: what servers say, and what agents may believe. */
import { expect, test } from "bun:test";
import {
  type CacheScope,
  readCacheHints,
  withHonestHints,
} from "../../../src/protocol/cache-hints.ts";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";

test.each([
  ['{"ttlMs":60000,"cacheScope":"public"}', 60_000, "public"],
  ['{"ttlMs":1e3,"cacheScope":"private"}', 1_000, "private"],
  ['{"ttlMs":-1,"cacheScope":"world"}', 0, undefined],
  ['{"ttlMs":1.5,"cacheScope":1}', 0, undefined],
  ['{"ttlMs":"60000"}', 0, undefined],
  ['{"ttlMs":null}', 0, undefined],
  ['{"ttlMs":1e400}', 0, undefined],
  ["{}", 0, undefined],
] satisfies [string, number, CacheScope | undefined][])("CA-05: %s", (text, ttlMs, scope) => {
  expect(readCacheHints(readObject(text))).toEqual({ ttlMs, scope });
});

test.each([
  ['{"a": 1}', '{"a": 1}'],
  ['{"ttlMs":5, "cacheScope":"private"}', '{"ttlMs":5, "cacheScope":"private"}'],
  ['{"a": 1e400,"ttlMs":60000}', '{"a": 1e400,"ttlMs":10}'],
  ['{"ttlMs":"x","cacheScope":"public"}', '{"ttlMs":0,"cacheScope":"private"}'],
  ['{"ttlMs":-7}', '{"ttlMs":0}'],
])("CA-05: %s is told as %s where 10.9 ms are left", (given, told) => {
  expect(objectText(withHonestHints(readObject(given), 10.9))).toBe(told);
});
