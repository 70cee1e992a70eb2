/** S03, PR-22: what JSON Schema means in four drafts, and which schemas are given up for which reason. */
import { describe, expect, test } from "bun:test";
import { compileSchema } from "../../../src/schemas/compile.ts";
import { createRun, evaluate } from "../../../src/schemas/node.ts";
import { SchemaRejected } from "../../../src/schemas/rejection.ts";

function accepts(schema: object, value: unknown): boolean {
  const run = createRun();
  const node = compileSchema(JSON.stringify(schema));
  const valid = evaluate(node, value, run, undefined, undefined);
  // What is invalid says why.
  expect(run.violations.length > 0).toBe(!valid);
  return valid;
}

function reasonOf(schemaText: string): string | undefined {
  try {
    compileSchema(schemaText);
  } catch (cause) {
    if (cause instanceof SchemaRejected) return cause.reason;
    throw cause;
  }
  return undefined;
}

const draft07 = { $schema: "http://json-schema.org/draft-07/schema#" };
const of2019 = { $schema: "https://json-schema.org/draft/2019-09/schema" };
const tree = { properties: { next: { $ref: "#" }, size: { type: "integer" } } };
const header = { type: "string", "x-mcp-header": "Name" };
const mirrored = { properties: { a: header, b: header }, required: ["b"] };
const closed = { allOf: [{ properties: { a: true } }], unevaluatedProperties: false };

const meanings: readonly (readonly [string, object, readonly unknown[], readonly unknown[]])[] = [
  ["type", { type: "string" }, ["", "x"], [1, null, [], {}]],
  ["several types", { type: ["integer", "null"] }, [1, 2.0, null], [1.5, "1", true]],
  ["enum", { enum: ["a", { b: 1, c: 2 }] }, ["a", { c: 2, b: 1 }], ["b", {}, null]],
  ["const", { const: [0] }, [[0], [-0]], [0, [1]]],
  ["bounds", { minimum: 1, exclusiveMaximum: 3 }, [1, 2.9, "9"], [0, 3]],
  ["multipleOf", { multipleOf: 0.1 }, [0.3, 7], [0.35]],
  ["length in code points", { minLength: 2, maxLength: 2 }, ["ab", "🙂🙂"], ["🙂", "abc"]],
  ["pattern", { pattern: "^\\u0061(?<rest>\\d)$" }, ["a1", 5], ["b1", "a1x"]],
  [
    "unique elements",
    { uniqueItems: true },
    [[1, "1", true]],
    [
      [1, 1],
      [{ a: 1 }, { a: 1 }],
    ],
  ],
  ["required", { required: ["a", "toString"] }, [{ a: 1, toString: 1 }, 5], [{ a: 1 }]],
  ["own names alone", { properties: { constructor: { type: "number" } } }, [{}], []],
  [
    "a mirrored argument",
    mirrored,
    [{ a: null, b: "" }, { b: "" }],
    [{ a: 1, b: "" }, { b: null }],
  ],
  [
    "no further members",
    { properties: { a: true }, additionalProperties: false },
    [{ a: 1 }],
    [{ b: 1 }],
  ],
  [
    "members by pattern",
    { patternProperties: { "^x-": { type: "number" } } },
    [{ "x-a": 1, b: "" }],
    [{ "x-a": "" }],
  ],
  ["names", { propertyNames: { maxLength: 2 } }, [{ ab: 1 }], [{ abc: 1 }]],
  ["elements", { prefixItems: [{ type: "number" }], items: false }, [[1], []], [[1, 2], ["a"]]],
  ["contains", { contains: { const: 1 }, maxContains: 1 }, [[1, 2]], [[2], [1, 1]]],
  ["oneOf", { oneOf: [{ type: "number" }, { minimum: 3 }] }, [1, "a"], [4]],
  ["not", { not: { type: "null" } }, [1], [null]],
  [
    "if",
    JSON.parse('{"if":{"type":"number"},"then":{"minimum":1},"else":{"type":"string"}}'),
    [1, "a"],
    [0, null],
  ],
  ["dependent", { dependentRequired: { a: ["b"] } }, [{ b: 1 }, { a: 1, b: 1 }], [{ a: 1 }]],
  ["unevaluated", closed, [{ a: 1 }], [{ b: 1 }]],
  ["recursion", tree, [{ next: { next: { size: 1 } } }], [{ next: { next: { size: "1" } } }]],
  ["an anchor", { $ref: "#a", $defs: { x: { $anchor: "a", type: "null" } } }, [null], [1]],
  [
    "its own name",
    { $id: "https://x.example/s", $ref: "/s#/$defs/n", $defs: { n: { type: "null" } } },
    [null],
    [1],
  ],
  [
    "unknown formats and keywords",
    { format: "email", "x-any": 1, nullable: true, id: 7 },
    ["no mail"],
    [],
  ],
  [
    "tuples of old drafts",
    { ...draft07, items: [{ type: "number" }], additionalItems: false },
    [[1]],
    [["a"], [1, 2]],
  ],
  [
    "a reference stands alone in draft 07",
    { ...draft07, definitions: { n: {} }, $ref: "#/definitions/n", type: "null" },
    [1],
    [],
  ],
  [
    "and not in 2019-09",
    { ...of2019, $defs: { n: {} }, $ref: "#/$defs/n", type: "null" },
    [null],
    [1],
  ],
  [
    "dependencies in draft 07",
    { ...draft07, dependencies: { a: ["b"], c: { required: ["d"] } } },
    [{ b: 1 }],
    [{ a: 1 }, { c: 1 }],
  ],
];

describe("S03: what a schema means", () => {
  test.each(meanings)("%s", (_what, schema, good, bad) => {
    for (const value of good) expect([value, accepts(schema, value)]).toEqual([value, true]);
    for (const value of bad) expect([value, accepts(schema, value)]).toEqual([value, false]);
  });
});

const nested = (depth: number): object =>
  depth === 0 ? {} : { properties: { a: nested(depth - 1) } };
const wide = (count: number) => ({ anyOf: Array.from({ length: count }, () => ({})) });

const rejections: readonly (readonly [string, unknown, string])[] = [
  ["a reference over the network", { $ref: "https://evil.example/s.json" }, "external-ref"],
  ["one behind a base", { $id: "http://169.254.169.254/", $ref: "latest" }, "external-ref"],
  ["one to a file", { properties: { a: { $ref: "file:///etc/passwd" } } }, "external-ref"],
  ["one to nowhere", { $ref: "#/$defs/none" }, "unresolvable-ref"],
  ["one to a value that is none", { $ref: "#/title", title: "x" }, "malformed"],
  ["one into a prototype", { $ref: "#/constructor" }, "unresolvable-ref"],
  ["an older draft", { $schema: "http://json-schema.org/draft-04/schema#" }, "dialect-unsupported"],
  ["another language", { $schema: "https://json-schema.example/mine" }, "dialect-unsupported"],
  ["too many alternatives", wide(1_000), "too-many-subschemas"],
  ["too many where no keyword looks", { $ref: "#/x", x: wide(1_000) }, "too-many-subschemas"],
  ["100,000 alternatives", wide(100_000), "too-many-subschemas"],
  ["too deep", nested(64), "too-deep"],
  ["too long", { description: "x".repeat(600_000) }, "too-large"],
  ["half a pattern", { pattern: "(a" }, "pattern-malformed"],
  ["a pattern of 2,000 characters", { pattern: "a".repeat(2_000) }, "pattern-too-large"],
  ["patterns large together", { pattern: "[a-z]{1000}".repeat(90) }, "pattern-too-large"],
  ["a type that is none", { type: "float" }, "malformed"],
  ["required as a flag", { properties: { a: { required: true } } }, "malformed"],
  ["a subschema that is text", { properties: { a: "string" } }, "malformed"],
  ["no object", true, "malformed"],
];

describe("PR-22: what cannot be used", () => {
  test.each(rejections)("%s", (_what, schema, reason) => {
    expect(reasonOf(JSON.stringify(schema))).toBe(reason);
  });

  test("a pattern that RE2 cannot express is left to the server, and the rest of the schema holds", () => {
    for (const pattern of ["^(?=.*[0-9])[a-z0-9]+$", "(a)\\1"]) {
      const schema = { properties: { a: { type: "string", pattern } } };
      expect(reasonOf(JSON.stringify(schema))).toBeUndefined();
      expect(accepts(schema, { a: "anything" })).toBe(true);
      expect(accepts(schema, { a: 1 })).toBe(false);
    }
  });

  test("the bounds themselves are usable", () => {
    expect(reasonOf(JSON.stringify(wide(999)))).toBeUndefined();
    expect(reasonOf(JSON.stringify(nested(63)))).toBeUndefined();
  });
});
