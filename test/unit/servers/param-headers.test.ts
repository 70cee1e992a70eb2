/** `x-mcp-header`: which arguments are mirrored, and how. */
import { expect, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import { paramHeaders, readParamHeaders } from "../../../src/servers/param-headers.ts";

const tool = JSON.stringify({
  name: "t",
  inputSchema: {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      count: { type: "integer", "x-mcp-header": "Count" },
      ratio: { type: "number", "x-mcp-header": "Ratio" },
      twin: { type: "string", "x-mcp-header": "REGION" },
      bad: { type: "string", "x-mcp-header": "a b" },
      deep: { type: "object", properties: { on: { type: "boolean", "x-mcp-header": "On" } } },
      list: { type: "array", items: { type: "string", "x-mcp-header": "Item" } },
    },
  },
});

test.each([
  [
    { region: "eu", count: 3, deep: { on: true } },
    { region: "eu", count: "3", on: "true" },
  ],
  [{ region: "s\u00fcd" }, { region: "=?base64?c8O8ZA==?=" }],
  [{ region: "x\r\ny: z" }, { region: "=?base64?eA0KeTogeg==?=" }],
  [{ region: null, deep: 1, ratio: 1.5, bad: "x" }, {}],
  [{}, {}],
])("UP-18 %j", (args, expected) => {
  const params = readObject(JSON.stringify({ name: "t", arguments: args }));
  const headers = paramHeaders(readParamHeaders(tool), params);
  const prefixed = Object.entries(expected).map(([name, value]) => [`mcp-param-${name}`, value]);
  expect(headers).toEqual(Object.fromEntries(prefixed));
});

test("a tool without annotations mirrors nothing", () => {
  expect(readParamHeaders('{"name":"t","inputSchema":{"type":"object"}}')).toEqual([]);
  expect(paramHeaders([], readObject('{"name":"t"}'))).toEqual({});
});
