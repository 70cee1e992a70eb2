/** What is remembered of a server's tools, and for how long. */
import { expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import type { Outcome } from "../../../src/protocol/messages.ts";
import { createCatalogue } from "../../../src/servers/catalogue.ts";
import type { ServerSpec } from "../../../src/servers/spec.ts";

const signal = new AbortController().signal;

function catalogueOf(
  pages: readonly string[],
  limits: { pagesMax?: number; toolsMax?: number } = {},
) {
  let nowMs = 0;
  const asked: string[] = [];
  const spec = { name: "s", listTtlMs: 1_000, callTimeoutMs: 1_000 } as ServerSpec;
  const catalogue = createCatalogue({
    client: {
      spec,
      async call({ params }): Promise<Outcome> {
        const text = params === undefined ? "" : objectText(params);
        asked.push(text);
        const page = text === "" ? 0 : Number(JSON.parse(text).cursor);
        return { kind: "result", result: readObject(pages[page] ?? "{}") };
      },
    },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    clientCapabilitiesText: "{}",
    ttlMsMin: 5_000,
    pagesMax: limits.pagesMax ?? 10,
    toolsMax: limits.toolsMax ?? 10,
  });
  const list = (refresh = false) => catalogue.tools({ refresh, signal });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { catalogue, asked, list, pass };
}

const pages = [
  '{"tools":[{"name":"a","x":1.0},{"name":"b"},7],"nextCursor":"1"}',
  '{"tools":[{"name":"c"},{"name":"a"}]}',
];

test("lists every page once for all who wait, and remembers", async () => {
  const { catalogue, asked, list, pass } = catalogueOf(pages);
  expect(catalogue.knowsTool("a")).toBeUndefined();
  const [tools] = await Promise.all([list(), list()]);
  expect([...tools.keys()]).toEqual(["a", "b", "c"]);
  expect(tools.get("a")?.text).toBe('{"name":"a","x":1.0}');
  expect([catalogue.knowsTool("c"), catalogue.knowsTool("d")]).toEqual([true, false]);
  await list();
  expect(asked).toEqual(["", '{"cursor":"1"}']);
  pass(5_001);
  expect(catalogue.knowsTool("c")).toBeUndefined();
  await list();
  expect(asked).toHaveLength(4);
});

test("asks again on demand and after an invalidation", async () => {
  const { catalogue, asked, list } = catalogueOf(['{"tools":[]}']);
  await list();
  await list(true);
  catalogue.invalidate();
  await list();
  expect(asked).toHaveLength(3);
});

test("endless pages and endless tools are refused", async () => {
  const endless = catalogueOf(['{"tools":[],"nextCursor":"0"}'], { pagesMax: 3 });
  expect(endless.list()).rejects.toThrow("unusable answer");
  const many = catalogueOf(['{"tools":[{"name":"a"},{"name":"b"}]}'], { toolsMax: 1 });
  expect(many.list()).rejects.toThrow("unusable answer");
});

test("S03: a tool's schema is the same text for every call, and outlives its listing", async () => {
  const listed = '{"tools":[{"name":"a","inputSchema":{"type": "object"}},{"name":"b"}]}';
  const { catalogue, list } = catalogueOf([listed]);
  expect(catalogue.inputSchema("a")).toBeUndefined();
  await list();
  catalogue.invalidate();
  expect(catalogue.inputSchema("a")).toBe('{"type": "object"}');
  expect(catalogue.inputSchema("b")).toBeUndefined();
});
