/** `x-mcp-header`: which arguments are mirrored, and how. */
import { expect, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import {
  findParamMismatch,
  hasInvalidParamHeaders,
  paramHeaders,
  readParamHeaders,
} from "../../../src/protocol/param-headers.ts";

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

const args = { region: "eu", count: 42, deep: { on: true } };
const right = { Region: "eu", Count: "42", On: "true" };

test.each([
  ["all there", args, right, undefined, undefined],
  ["an integer by its value", args, { ...right, Count: "42.0" }, undefined, undefined],
  ["another integer", args, { ...right, Count: "43" }, "count", "count"],
  ["no integer", args, { ...right, Count: "0x2a" }, "count", "count"],
  ["one missing", args, { Region: "eu", On: "true" }, "count", undefined],
  ["all missing", args, {}, "region", undefined],
  ["another string", args, { ...right, Region: "us" }, "region", "region"],
  ["another case", args, { ...right, Region: "EU" }, "region", "region"],
  ["another boolean", args, { ...right, On: "1" }, "on", "on"],
  ["base64 of the same", args, { ...right, Region: "=?base64?ZXU=?=" }, undefined, undefined],
  ["base64 of something else", args, { ...right, Region: "=?base64?dXM=?=" }, "region", "region"],
  ["bad base64", args, { ...right, Region: "=?base64?%%%?=" }, "region", "region"],
  ["a header without its argument", { deep: 1 }, { Region: "eu" }, "region", "region"],
  ["null and absent arguments", { region: null }, {}, undefined, undefined],
  ["an unknown header", args, { ...right, Other: "x" }, undefined, undefined],
  [
    "big integers by their digits",
    { count: 9007199254740993n },
    { Count: "9007199254740992" },
    "count",
    "count",
  ],
])("PR-13: %s", (_what, given, sent, strict, lenient) => {
  const text = JSON.stringify(given, (_key, value) =>
    typeof value === "bigint" ? `#${value}#` : value,
  ).replaceAll(/"#|#"/g, "");
  const params = readObject(`{"name":"t","arguments":${text}}`);
  const prefixed = Object.entries(sent).map(([name, value]) => [`Mcp-Param-${name}`, value ?? ""]);
  const headers = new Headers(Object.fromEntries(prefixed));
  const found = (strictness: "strict" | "lenient") =>
    findParamMismatch(readParamHeaders(tool), params, headers, strictness)?.header;
  expect(found("strict")).toBe(strict && `mcp-param-${strict}`);
  expect(found("lenient")).toBe(lenient && `mcp-param-${lenient}`);
});

const own = { type: "string", "x-mcp-header": "A" };

test.each([
  [
    "a sound one",
    { a: own, b: { type: "object", properties: { c: { ...own, "x-mcp-header": "C" } } } },
    false,
  ],
  ["none", { a: { type: "string" } }, false],
  ["a property of that name", { "x-mcp-header": { type: "string" } }, false],
  ["a value that looks like one", { a: { type: "object", default: own, enum: [own] } }, false],
  ["a number", { a: { type: "number", "x-mcp-header": "A" } }, true],
  ["an empty name", { a: { type: "string", "x-mcp-header": "" } }, true],
  ["no name at all", { a: { type: "string", "x-mcp-header": 1 } }, true],
  ["a space", { a: { type: "string", "x-mcp-header": "a b" } }, true],
  ["twins", { a: own, b: { type: "string", "x-mcp-header": "a" } }, true],
  ["in items", { a: { type: "array", items: own } }, true],
  ["in a composition", { a: { anyOf: [own] } }, true],
  [
    "beside a sound one",
    { a: own, b: { type: "array", items: { ...own, "x-mcp-header": "B" } } },
    true,
  ],
])("PR-13: annotations: %s", (_what, properties, isInvalid) => {
  const text = JSON.stringify({ name: "t", inputSchema: { type: "object", properties } });
  expect(hasInvalidParamHeaders(readObject(text))).toBe(isInvalid);
});
