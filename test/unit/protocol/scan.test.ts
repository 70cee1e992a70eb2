import { describe, expect, test } from "bun:test";
import { type JsonObject, objectMember, readObject } from "../../../src/protocol/json-view.ts";
import { defaultScanLimits, scanJson, scanObjects } from "../../../src/protocol/scan.ts";

const accepted = [
  "{}",
  "[]",
  " \t\r\n null ",
  "0",
  "-0",
  "-1.5e+10",
  "1E400",
  '"\\u006e\\ud800\\n"',
  '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
  '{"__proto__":{"x":1},"constructor":2}',
  '["é😀"]',
];

const refusedAsSyntax = [
  "",
  "   ",
  "{",
  "}",
  "[1,]",
  "[,1]",
  '{"a":1,}',
  "{'a':1}",
  "{a:1}",
  '{"a" 1}',
  "01",
  "+1",
  "-",
  "1.",
  ".5",
  "1e",
  "0x10",
  "NaN",
  "Infinity",
  "nul",
  "truee",
  '"\t"',
  '"\\x41"',
  '"\\u12g4"',
  '"open',
  "1 2",
  "{} {}",
  "// c\n{}",
  "\ufeff{}",
  "\0",
];

describe("scanJson", () => {
  test.each(accepted)("PR-10: accepts %j, as JSON.parse does", (text) => {
    expect(scanJson(text)).toBeUndefined();
    expect(() => JSON.parse(text)).not.toThrow();
  });

  test.each(refusedAsSyntax)("PR-10: refuses %j", (text) => {
    expect(scanJson(text)?.kind).toBe("syntax");
    expect(() => JSON.parse(text)).toThrow();
  });

  test.each([
    '{"a":1,"a":2}',
    '{"x":[{"k":1,"k":1}]}',
    '{"name":1,"\\u006eame":2}',
    `{${Array.from({ length: 40 }, (_, at) => `"k${at}":0`).join(",")},"k7":1}`,
  ])("PR-01: refuses a duplicate member in %j", (text) => {
    expect(scanJson(text)?.kind).toBe("duplicate-member");
  });

  test("PR-05: depth is accepted at the limit and refused one beyond it", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(scanJson(nested(64))).toBeUndefined();
    expect(scanJson(nested(65))?.kind).toBe("limit");
    expect(scanJson("[".repeat(1_000_000))?.kind).toBe("limit");
  });

  test("PR-06: nodes, members and string length are accepted at the limit and refused beyond it", () => {
    const limits = { ...defaultScanLimits, nodesMax: 5, membersMax: 20, stringCharsMax: 4 };
    expect(scanJson("[1,2,3,4]", limits)).toBeUndefined();
    expect(scanJson("[1,2,3,4,5]", limits)?.kind).toBe("limit");
    expect(scanJson('"1234"', limits)).toBeUndefined();
    expect(scanJson('"12345"', limits)?.kind).toBe("limit");
    const wide = (count: number) =>
      `{${Array.from({ length: count }, (_, at) => `"${at}":0`).join(",")}}`;
    expect(scanJson(wide(20), { ...limits, nodesMax: 100 })).toBeUndefined();
    expect(scanJson(wide(21), { ...limits, nodesMax: 100 })?.kind).toBe("limit");
  });

  test("R-27: agrees with JSON.parse on 20,000 mutated documents", () => {
    const seedText =
      '{"jsonrpc":"2.0","id":1,"method":"a/b","params":{"x":[1,-2.5e3,true,null,"\\u00e9\\n"],"y":{}}}';
    const letters = '{}[]",:\\ \n019-+.eEtrufalsn\u00e9\ud83d\ude00/';
    let state = 42;
    const next = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state % below;
    };
    for (let round = 0; round < 20_000; round += 1) {
      let text = seedText;
      for (let edits = 1 + next(3); edits > 0; edits -= 1) {
        const at = next(text.length);
        text = text.slice(0, at) + letters[next(letters.length)] + text.slice(at + next(2));
      }
      const problem = scanJson(text);
      if (problem?.kind === "duplicate-member") continue;
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      if ((problem === undefined) !== isJson) throw new Error(`disagreement on ${text}`);
    }
    expect(scanJson(seedText)).toBeUndefined();
  });
});

describe("scanObjects", () => {
  const wide = `{${Array.from({ length: 17 }, (_, index) => `"m${index}":{"a":{}}`).join(",")}}`;

  test.each([
    [
      "the protocol's own levels",
      ' { "a" : {"b\\u0063":{"d":{"e":{"f":{}}}}, "g" : [ {"h":1} ] } } ',
    ],
    ["no members", "{}"],
    ["many members inside", `{"a":${wide},"b":{"c":1}}`],
    ["arrays between", '{"a":[{"b":{}}],"c":[{}],"d":{"e":[]}}'],
  ])("PR-10: opens what reading again would: %s", (_what, text) => {
    const { problem, object } = scanObjects(text, defaultScanLimits);
    expect(problem).toBeUndefined();
    expect(object && opened(object)).toEqual(opened(readObject(text)));
  });

  test.each(["[{}]", "1", '"{"', wide])("PR-10: opens nothing of %j", (text) => {
    expect(scanObjects(text, defaultScanLimits)).toEqual({ problem: undefined, object: undefined });
  });

  test("PR-10: opens nothing of a text that is none", () => {
    expect(scanObjects('{"a":{}} x', defaultScanLimits).problem?.kind).toBe("syntax");
    expect(scanObjects('{"a":{},"a":1}', defaultScanLimits).object).toBeUndefined();
  });

  /** Every position in the object, and in those below it as `objectMember` gives them. */
  function opened(object: JsonObject): unknown {
    const { start, end, members } = object;
    const below = members.map(({ key, keyStart, start, end }) => {
      const inner = objectMember(object, key);
      return { key, keyStart, start, end, inner: inner && opened(inner) };
    });
    return { start, end, below };
  }
});
