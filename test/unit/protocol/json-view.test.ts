import { describe, expect, test } from "bun:test";
import {
  arrayMember,
  memberText,
  objectMember,
  objectText,
  readObject,
  replaceSpans,
  stringMember,
  withMembers,
} from "../../../src/protocol/json-view.ts";

const text = ' { "a" : "x\\"y" , "b":[1, {"c":"]}"} ,"q"], "\\u0063":{"d":1e400} ,"e":\ttrue}';

describe("json-view", () => {
  const object = readObject(text);

  test("reads the direct members with their source text", () => {
    expect(object.members.map((member) => member.key)).toEqual(["a", "b", "c", "e"]);
    expect(stringMember(object, "a")).toBe('x"y');
    expect(memberText(object, "b")).toBe('[1, {"c":"]}"} ,"q"]');
    expect(memberText(object, "e")).toBe("true");
    expect(memberText(object, "missing")).toBeUndefined();
    expect(stringMember(object, "b")).toBeUndefined();
  });

  test("opens nested objects and arrays", () => {
    const nested = objectMember(object, "c");
    expect(nested && memberText(nested, "d")).toBe("1e400");
    const spans = arrayMember(object, "b") ?? [];
    expect(spans.map((span) => text.slice(span.start, span.end))).toEqual([
      "1",
      '{"c":"]}"}',
      '"q"',
    ]);
  });

  test("PR-04: rewriting members keeps every other byte of their values", () => {
    const changed = withMembers(object, { a: '"new"', e: undefined, f: "[ 1 ]" });
    expect(objectText(changed)).toBe(
      '{ "a" : "new" , "b":[1, {"c":"]}"} ,"q"], "\\u0063":{"d":1e400},"f":[ 1 ]}',
    );
  });

  test("PR-04: members come and go at either end, white space of the others kept", () => {
    const rewritten: readonly [string, Record<string, string | undefined>, string][] = [
      ["{ }", { a: "1" }, '{ "a":1}'],
      ['{\n"a":1\n}', { a: undefined }, "{\n\n}"],
      ['{\n"a":1\n}', { a: undefined, b: "2" }, '{\n"b":2\n}'],
      ['{ "a":1 ,\t"b":2 , "c":3 }', { a: undefined }, '{ "b":2 , "c":3 }'],
      ['{ "a":1 ,\t"b":2 , "c":3 }', { b: undefined }, '{ "a":1 , "c":3 }'],
      ['{ "a":1 ,\t"b":2 , "c":3 }', { b: undefined, c: undefined }, '{ "a":1 }'],
      ['{ "a":1 ,\t"b":2 }', { b: "[ ]", d: "4" }, '{ "a":1 ,\t"b":[ ],"d":4 }'],
    ];
    for (const [before, changes, after] of rewritten) {
      expect(objectText(withMembers(readObject(before), changes))).toBe(after);
    }
  });

  test("PR-04: replacing spans changes exactly those characters", () => {
    expect(
      replaceSpans("0123456789", [
        { span: { start: 2, end: 4 }, by: "X" },
        { span: { start: 9, end: 10 }, by: "" },
      ]),
    ).toBe("01X45678");
  });

  test("PR-02: prototype names are plain members", () => {
    const odd = readObject('{"__proto__":1,"toString":2}');
    expect(memberText(odd, "__proto__")).toBe("1");
    expect(memberText(odd, "hasOwnProperty")).toBeUndefined();
    expect(objectText(withMembers(odd, { toString: "3" }))).toBe('{"__proto__":1,"toString":3}');
  });
});
