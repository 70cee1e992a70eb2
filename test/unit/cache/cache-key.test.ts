/** Identities: equal exactly when the tuples are equal (fault CA-03). */
import { describe, expect, test } from "bun:test";
import { type CacheIdentity, encodeIdentity, encodeTuple } from "../../../src/cache/cache-key.ts";
import { canonicalJson } from "../../../src/cache/canonical-json.ts";

describe("CA-03 canonical arguments", () => {
  test.each([
    ['{"b":1,"a":[true,null,"x"]}', '{"a":[true,null,"x"],"b":1}'],
    [' { "a" : 1.0 , "b":1e2,"c":-0 } ', '{"a":1,"b":100,"c":0}'],
    ['"\\u0061\\/é"', '"a/é"'],
    ['{"\\u20ac":1,"\\r":2,"1":3}', '{"\\r":2,"1":3,"€":1}'],
    ["9007199254740993", "9007199254740993"],
    ["1e400", "1e400"],
    ["1e-400", "1e-400"],
    ["[]", "[]"],
    ["{}", "{}"],
  ])("%s is %s", (source, want) => {
    expect(canonicalJson(source)).toBe(want);
  });

  test.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '"\\ud800"',
    `${"[".repeat(70)}${"]".repeat(70)}`,
  ])("%p has none", (source) => {
    expect(canonicalJson(source)).toBeUndefined();
  });
});

describe("CA-01 CA-03 tuples", () => {
  const base: CacheIdentity = {
    principalId: "client:ci",
    tenant: undefined,
    workspace: undefined,
    server: "s",
    method: "tools/call",
    target: "t",
    stateRevision: 1,
    variant: ["modern"],
    argumentsText: '{"a":1,"b":"2"}',
  };
  const others: Partial<CacheIdentity>[] = [
    {},
    { principalId: undefined },
    { principalId: "client:c" },
    { tenant: "" },
    { tenant: "x" },
    { tenant: "x:y" },
    { workspace: "x" },
    { tenant: "x", workspace: "y" },
    { server: "" },
    { server: "st", target: "" },
    { target: undefined },
    { target: "" },
    { stateRevision: 2 },
    { variant: [] },
    { variant: ["modern", ""] },
    { variant: ["", "modern"] },
    { argumentsText: undefined },
    { argumentsText: "{}" },
    { argumentsText: '{"a":"1","b":"2"}' },
    { argumentsText: '{"a":1,"b":2}' },
    { server: "é" },
    { server: "e\u0301" },
    { method: "resources/read" },
    { target: "\ud800" },
    { target: "\udfff" },
    { target: "1:t;" },
  ];

  test("every pair of different identities differs in bytes", () => {
    const encoded = others.map((change) => encodeIdentity({ ...base, ...change })?.toString("hex"));
    expect(new Set(encoded).size).toBe(others.length);
  });

  test("equal identities do not, whatever the arguments' spelling", () => {
    const same = encodeIdentity({ ...base, argumentsText: ' { "b":"\\u0032", "a":1.0 }' });
    expect(same).toEqual(encodeIdentity(base));
  });

  test.each([
    [
      ["a", "bc"],
      ["ab", "c"],
    ],
    [
      ["", "a"],
      ["a", ""],
    ],
    [[undefined], [""]],
    [
      ["1:a;", ""],
      ["1:a", ";"],
    ],
    [["-;"], [undefined]],
  ])("%p is not %p", (one, other) => {
    expect(encodeTuple(one).equals(encodeTuple(other))).toBe(false);
  });
});
