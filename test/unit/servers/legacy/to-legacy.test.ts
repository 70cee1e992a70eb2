/** A call in a legacy server's words, and its errors in ours. */
import { expect, test } from "bun:test";
import { modernError, renderLegacy } from "../../../../src/servers/legacy/to-legacy.ts";
import { requestOf } from "../support.ts";

const prefix = "io.modelcontextprotocol/";

test.each<[string, string | undefined, string | undefined, string | undefined]>([
  ["params without _meta stay as they are", '{ "name" : "t" }', undefined, '{ "name" : "t" }'],
  ["no params stay none", undefined, undefined, undefined],
  [
    "a wanted progress brings our token",
    '{"name":"t"}',
    '"x"',
    '{"_meta":{"progressToken":5},"name":"t"}',
  ],
  [
    "envelope keys go",
    `{"a":1,"_meta":{"${prefix}protocolVersion":"2026-07-28"}}`,
    undefined,
    '{"a":1,"_meta":{}}',
  ],
  [
    "vendor keys stay",
    `{"_meta":{"v/k":1.50,"${prefix}x":1,"progressToken":1},"a":1}`,
    "1",
    '{"_meta":{"progressToken":5,"v/k":1.50},"a":1}',
  ],
  [
    "retry members go",
    '{"name":"t","requestState":"s","inputResponses":{}}',
    undefined,
    '{"name":"t"}',
  ],
])("%s", (_name, params, progressTokenText, expected) => {
  const request = requestOf("tools/call", params, { progressTokenText });
  const paramsText = expected === undefined ? "" : `,"params":${expected}`;
  expect(renderLegacy(request, 5)).toBe(
    `{"jsonrpc":"2.0","id":5,"method":"tools/call"${paramsText}}`,
  );
});

test.each<[number, string | undefined, number, string | undefined]>([
  [-32602, undefined, -32602, undefined],
  [42, '"d"', 42, '"d"'],
  [-32002, '{"uri":"x"}', -32602, '{"uri":"x"}'],
  [-32022, undefined, -32603, undefined],
  [-32000, undefined, -32603, '{"originalCode":-32000}'],
  [-32001, '{"a":1}', -32603, '{"originalCode":-32001,"data":{"a":1}}'],
  [-32042, '{"elicitations":[]}', -32603, '{"elicitations":[]}'],
])("the error %d becomes ours: %p %d %p", (code, dataText, ours, ourData) => {
  expect(modernError({ code, message: "m", dataText })).toMatchObject({
    code: ours,
    dataText: ourData,
  });
});
