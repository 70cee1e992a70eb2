import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import { concatPages, filterList, mergeLists } from "../../../src/route/merge.ts";
import type { Scope } from "../../../src/state/snapshot.ts";

const all: Scope = { kind: "all", name: "all" };
const hints = { ttlMs: 5, isPublic: false };
const noNames = { find: () => undefined, learn: () => {} };
const tools = (...names: string[]) =>
  readObject(
    `{"tools":[${names.map((name) => `{"x": 1e400 ,"name": "${name}","y":{"name":"z"}}`).join(" , ")}]}`,
  );

describe("merge", () => {
  test("PR-04: merged lists change each name and nothing else", () => {
    const parts = [
      { server: "a", result: tools("add") },
      { server: "b", result: tools("sub") },
    ];
    expect(objectText(mergeLists(all, "tools", parts, hints, noNames))).toBe(
      '{"tools":[{"x": 1e400 ,"name": "a__add","y":{"name":"z"}},{"x": 1e400 ,"name": "b__sub","y":{"name":"z"}}],"ttlMs":5,"cacheScope":"private"}',
    );
  });

  test("elements without a name, or that are no objects, are left out", () => {
    const result = readObject('{"tools":[1,{"title":"x"},{"name":"ok"}]}');
    const merged = mergeLists(all, "tools", [{ server: "a", result }], hints, noNames);
    expect(objectText(merged)).toBe(
      '{"tools":[{"name":"a__ok"}],"ttlMs":5,"cacheScope":"private"}',
    );
  });

  test("pages of one server become one list without a cursor", () => {
    const first = readObject('{"tools":[{"name":"a"}],"nextCursor":"2"}');
    const second = readObject('{"tools":[{"name":"b"}]}');
    expect(objectText(concatPages("tools", [first, second]))).toBe(
      '{"tools":[{"name":"a"},{"name":"b"}],"cacheScope":"private"}',
    );
    expect(concatPages("tools", [first])).toBe(first);
  });

  test("CA-16: pages joined into one take the strictest hints", () => {
    const page = (members: string) => readObject(`{"tools":[],${members}}`);
    const joined = concatPages("tools", [
      page('"ttlMs":9,"cacheScope":"public"'),
      page('"ttlMs":4,"cacheScope":"private"'),
      page('"cacheScope":"public"'),
    ]);
    expect(objectText(joined)).toBe('{"tools":[],"ttlMs":4,"cacheScope":"private"}');
  });

  test("filtering keeps the other members' bytes", () => {
    const result = readObject('{ "nextCursor" : "c" , "tools":[{"name":"a"}, {"name":"b"}] }');
    const kept = filterList(result, "tools", (element) => objectText(element).includes('"b"'));
    expect(objectText(kept)).toBe('{ "nextCursor" : "c" , "tools":[{"name":"b"}] }');
    expect(filterList(result, "tools", () => true)).toBe(result);
  });
});
