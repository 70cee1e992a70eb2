import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import { concatPages, filterList, mergeDiscovery, mergeLists } from "../../../src/route/merge.ts";
import type { Scope } from "../../../src/state/snapshot.ts";

const all: Scope = { kind: "all", name: "all" };
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
    expect(objectText(mergeLists(all, "tools", parts))).toBe(
      '{"tools":[{"x": 1e400 ,"name": "a__add","y":{"name":"z"}},{"x": 1e400 ,"name": "b__sub","y":{"name":"z"}}]}',
    );
  });

  test("elements without a name, or that are no objects, are left out", () => {
    const result = readObject('{"tools":[1,{"title":"x"},{"name":"ok"}]}');
    expect(objectText(mergeLists(all, "tools", [{ server: "a", result }]))).toBe(
      '{"tools":[{"name":"a__ok"}]}',
    );
  });

  test("pages of one server become one list without a cursor", () => {
    const first = readObject('{"tools":[{"name":"a"}],"nextCursor":"2"}');
    const second = readObject('{"tools":[{"name":"b"}]}');
    expect(objectText(concatPages("tools", [first, second]))).toBe(
      '{"tools":[{"name":"a"},{"name":"b"}]}',
    );
  });

  test("filtering keeps the other members' bytes", () => {
    const result = readObject('{ "nextCursor" : "c" , "tools":[{"name":"a"}, {"name":"b"}] }');
    const kept = filterList(result, "tools", (element) => objectText(element).includes('"b"'));
    expect(objectText(kept)).toBe('{ "nextCursor" : "c" , "tools":[{"name":"b"}] }');
    expect(filterList(result, "tools", () => true)).toBe(result);
  });

  test("discovery is the union of what the servers can do, with their instructions", () => {
    const parts = [
      { server: "a", capabilitiesText: '{"tools":{"listChanged":true}}', instructions: "Use a." },
      {
        server: "b",
        capabilitiesText: '{"prompts":{},"extensions":{"x/y":{}}}',
        instructions: undefined,
      },
    ];
    const merged = JSON.parse(
      objectText(mergeDiscovery(all, parts, { name: "gateway", version: "1" })),
    );
    expect(merged).toMatchObject({
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
      capabilities: { tools: { listChanged: true }, prompts: { listChanged: true } },
      instructions: "# a\nUse a.",
      cacheScope: "private",
    });
    expect(merged.capabilities.extensions).toBeUndefined();
  });

  test("a server tells of its own lists; merged ones are the gateway's, which always tells", () => {
    const capabilitiesText =
      '{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true}}';
    const parts = [{ server: "a", capabilitiesText, instructions: undefined }];
    const gateway = { name: "gateway", version: "1" };
    const own = { kind: "server", name: "a", server: {} } as unknown as Scope;
    const told = (scope: Scope) =>
      JSON.parse(objectText(mergeDiscovery(scope, parts, gateway))).capabilities;
    expect(told(own)).toEqual({
      tools: { listChanged: true },
      prompts: {},
      resources: { subscribe: true },
    });
    expect(told(all)).toEqual({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
    });
  });

  test("CA-16: a joined list holds as long as its shortest part, and is private", () => {
    const part = (hints: string) => ({ server: "a", result: readObject(`{"tools":[]${hints}}`) });
    const long = part(',"ttlMs":60000,"cacheScope":"public"');
    const short = part(',"ttlMs":2000,"cacheScope":"public"');
    const joined = (...parts: (typeof long)[]) => objectText(mergeLists(all, "tools", parts));
    expect(joined(long, short)).toBe('{"tools":[],"ttlMs":2000,"cacheScope":"private"}');
    expect(joined(long, part(""))).toBe('{"tools":[]}');
    const pages = [long.result, part(',"ttlMs":5,"cacheScope":"private"').result];
    expect(objectText(concatPages("tools", pages))).toBe(
      '{"tools":[],"ttlMs":5,"cacheScope":"private"}',
    );
  });
});
