/** A call in a modern server's words. */
import { describe, expect, test } from "bun:test";
import { forwardedCapabilities, modernHeaders, renderModern } from "../../../src/servers/modern.ts";
import { requestOf } from "./support.ts";

const prefix = "io.modelcontextprotocol/";

describe("renderModern", () => {
  test("sets the envelope, keeps vendor keys, overwrites reserved ones", () => {
    const meta = `{"x/y":1.0,"traceparent":"t","${prefix}protocolVersion":"1999","progressToken":"theirs"}`;
    const request = requestOf(
      "tools/call",
      `{ "name":"t","_meta":${meta},"arguments":{"n":1.00}}`,
      {
        clientInfoText: '{"name":"agent","version":"1"}',
        logLevel: "info",
        progressTokenText: '"theirs"',
      },
    );
    const text = renderModern(request, 7, "{}", "{}");
    expect(text).toContain('"arguments":{"n":1.00}}');
    expect(text).toContain('"x/y":1.0');
    expect(JSON.parse(text)).toEqual({
      jsonrpc: "2.0",
      id: 7,
      method: "tools/call",
      params: {
        name: "t",
        _meta: {
          [`${prefix}protocolVersion`]: "2026-07-28",
          [`${prefix}clientInfo`]: { name: "agent", version: "1" },
          [`${prefix}clientCapabilities`]: {},
          [`${prefix}logLevel`]: "info",
          progressToken: 7,
          "x/y": 1,
          traceparent: "t",
        },
        arguments: { n: 1 },
      },
    });
  });

  test.each([[undefined], ["{}"], ['{"cursor":"c"}']])(
    "adds the envelope to params %p",
    (params) => {
      const message = JSON.parse(
        renderModern(requestOf("tools/list", params), 1, '{"name":"g"}', "{}"),
      );
      const { _meta, ...rest } = message.params;
      expect(_meta[`${prefix}clientInfo`]).toEqual({ name: "g" });
      expect(_meta.progressToken).toBeUndefined();
      expect(rest).toEqual(JSON.parse(params ?? "{}"));
    },
  );
});

const ui = `"${prefix}ui"`;
test.each([
  ["{}", "{}", "{}"],
  ['{"elicitation":{},"sampling":{}, "x":1.0}', "{}", '{"elicitation":{},"sampling":{}, "x":1.0}'],
  ['{"roots":{},"extensions":{"a/b":{}}}', '{"extensions":{"a/b":{}}}', '{"roots":{}}'],
  [`{"extensions":{"a/b":{},${ui}:{"m":1.0}}}`, "{}", "{}"],
  [
    `{"extensions":{"a/b":{},${ui}:{"m":1.0}}}`,
    `{"extensions":{${ui}:{}}}`,
    `{"extensions":{${ui}:{"m":1.0}}}`,
  ],
])(
  "capabilities %s, of a server that offers %s, are forwarded as %s",
  (declared, offered, want) => {
    expect(forwardedCapabilities(declared, offered)).toBe(want);
  },
);

test.each([
  ["tools/call", '{"name":"add"}', "add"],
  ["tools/call", '{"name":"zw\u00f6lf"}', "=?base64?enfDtmxm?="],
  ["tools/call", '{"name":" x"}', "=?base64?IHg=?="],
  ["tools/call", '{"name":"a\\r\\nx: y"}', "=?base64?YQ0KeDogeQ==?="],
  ["resources/read", '{"uri":"file:///a"}', "file:///a"],
  ["skills/get", '{"uri":"skill://a/SKILL.md"}', undefined],
  ["tools/list", "{}", undefined],
])("UP-18 %s %s is named %p in the headers", (method, params, name) => {
  const headers = modernHeaders(requestOf(method, params));
  expect(headers["mcp-name"]).toBe(name as string);
  expect(headers).toMatchObject({ "mcp-protocol-version": "2026-07-28", "mcp-method": method });
});
