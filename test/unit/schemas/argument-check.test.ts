/** S03, PR-22, PR-23: what is told of violations, and that no schema and no argument makes a check long. */
import { describe, expect, test } from "bun:test";
import { createArgumentCheck } from "../../../src/schemas/argument-check.ts";

const check = createArgumentCheck();
const told = (schema: object, value: unknown) =>
  check
    .violationsOf(JSON.stringify(schema), JSON.stringify(value))
    .map(({ path, expected }) => `${path} ${expected}`);

describe("PR-23: violations", () => {
  const schema = {
    type: "object",
    properties: {
      count: { type: "integer", maximum: 9 },
      mode: { enum: ["fast", "slow"] },
      who: { anyOf: [{ type: "string" }, { type: "null" }] },
      list: { type: "array", items: { type: "object", properties: { "a/b": { type: "null" } } } },
    },
    required: ["count"],
    additionalProperties: false,
  };

  test("are named by path and by what is wanted, never by the value", () => {
    const value = { mode: "hunter2", who: 5, list: [{}, { "a/b": "hunter2" }], other: "hunter2" };
    expect(told(schema, value)).toEqual([
      "/count is required",
      '/mode must be one of "fast", "slow"',
      "/who must be string or null",
      "/list/1/a~1b must be null",
      "/other is not allowed",
    ]);
  });

  test("are at most a few", () => {
    const list = { properties: { list: { items: { type: "null" } } } };
    expect(told(list, { list: Array.from({ length: 1_000 }, () => 1) }).length).toBe(5);
  });

  test("nothing is coerced, and nothing is filled in", () => {
    expect(told(schema, { count: "5" })).toEqual(["/count must be integer"]);
    expect(told({ properties: { a: { default: 1 } }, required: ["a"] }, {})).toEqual([
      "/a is required",
    ]);
  });

  test("no arguments are an empty object, and anything else is none", () => {
    const text = JSON.stringify(schema);
    expect(check.violationsOf(text, undefined)[0]?.path).toBe("/count");
    for (const value of ["[]", "null", '"x"', "5"]) {
      const violations = check.violationsOf('{"type":"object"}', value);
      expect(violations).toEqual([{ path: "", expected: "must be object" }]);
    }
    expect(check.violationsOf('{"type":"object"}', '{"any":1}')).toEqual([]);
  });
});

/** Far more than any of these takes, and far less than what they take without a bound. */
const patientMs = 5_000;
const tooCostly = [" cannot be checked with reasonable effort"];

describe("PR-22: what would take for ever ends", () => {
  const doubling = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [
      `d${at}`,
      { allOf: [{ $ref: `#/$defs/d${at + 1}` }, { $ref: `#/$defs/d${at + 1}` }] },
    ]),
  );
  const branches = [{ $ref: "#", not: {} }, { $ref: "#" }];
  const deep = (depth: number): object => (depth === 0 ? {} : { next: deep(depth - 1) });
  const pages = Array.from({ length: 50_000 }, (_, at) => ({ at }));

  const cases: readonly (readonly [string, object, unknown, readonly string[]])[] = [
    [
      "a catastrophic pattern",
      { properties: { a: { pattern: "^(a+)+$" } } },
      { a: `${"a".repeat(50_000)}!` },
      ["/a must match the pattern ^(a+)+$"],
    ],
    ["a reference to itself", { $ref: "#" }, {}, tooCostly],
    [
      "references that double",
      { $defs: { ...doubling, d60: {} }, $ref: "#/$defs/d0" },
      {},
      tooCostly,
    ],
    [
      "branches that double at every level",
      { properties: { next: { oneOf: branches } }, $comment: "two to the sixtieth" },
      deep(60),
      tooCostly,
    ],
    ["unique elements", { properties: { a: { uniqueItems: true } } }, { a: pages }, []],
    [
      "a large pattern on a long text",
      { properties: { a: { pattern: "[a-z]{1000}c" } } },
      { a: "ab".repeat(400_000) },
      tooCostly,
    ],
  ];
  test.each(cases)("%s", (_what, schema, value, expected) => {
    const began = performance.now();
    expect(told(schema, value)).toEqual([...expected]);
    expect(performance.now() - began).toBeLessThan(patientMs);
  });
});
