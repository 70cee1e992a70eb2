import { describe, expect, test } from "bun:test";
import { decodeUtf8, parseMessage, splitBatch } from "../../../src/protocol/parse-message.ts";
import { defaultScanLimits } from "../../../src/protocol/scan.ts";

const parse = (text: string) => parseMessage(text, defaultScanLimits);
const request = (rest: string) => `{"jsonrpc":"2.0",${rest}}`;

describe("parseMessage", () => {
  test("T06: keeps the id's source text and the params' members", () => {
    const message = parse(
      request('"id":"1","method":"tools/call","params":{"name":"add","_meta":{"progressToken":7}}'),
    );
    expect(message).toMatchObject({ kind: "request", idText: '"1"', method: "tools/call" });
    expect(message.kind === "request" && message.envelope.progressTokenText).toBe("7");
  });

  test.each([
    ["PR-07", '"id":9007199254740993,"method":"x"', "9007199254740993"],
    ["PR-08", `"id":"${"a".repeat(256)}","method":"x"`, `"${"a".repeat(256)}"`],
    ["PR-16", '"id":-3,"method":"toString"', "-3"],
  ])("%s: accepts %s", (_, rest, idText) => {
    expect(parse(request(rest))).toMatchObject({ kind: "request", idText });
  });

  test.each([
    ["PR-07", '"id":1.5,"method":"x"'],
    ["PR-07", '"id":1e3,"method":"x"'],
    ["PR-08", '"id":null,"method":"x"'],
    ["PR-08", '"id":{},"method":"x"'],
    ["PR-08", '"id":true,"method":"x"'],
    ["PR-08", '"id":"","method":"x"'],
    ["PR-08", `"id":"${"a".repeat(257)}","method":"x"`],
    ["PR-08", '"id":"\\u0000","method":"x"'],
    ["PR-11", '"id":1,"method":"x","result":{}'],
    ["PR-11", '"id":1,"result":{},"error":{}'],
    ["PR-11", '"id":1'],
    ["PR-11", '"id":1,"method":7'],
    ["PR-03", '"id":1,"method":"x","Method":"y"'],
    ["PR-03", '"id":1,"method":"x","param\u017f":{}'],
    ["PR-03", '"id":1,"method":"x","params":{"name":"a","NAME":"b"}'],
    ["PR-03", '"id":1,"method":"x","params":{"to\u212aen":1,"tas\u212a":2}'],
    ["PR-01", '"id":1,"method":"x","\\u006dethod":"y"'],
    ["PR-11", '"id":1,"method":"x","params":[1]'],
  ])("%s: refuses %s as an invalid request", (_, rest) => {
    const message = parse(request(rest));
    expect(message.kind === "malformed" && message.fault.name).toBe("invalid-request");
  });

  test.each([
    '{"jsonrpc":2.0,"id":1,"method":"x"}',
    '{"id":1,"method":"x"}',
    '{"jsonrpc":"1.0","id":1,"method":"x"}',
  ])("PR-11: refuses the version of %s and still answers its id", (text) => {
    expect(parse(text)).toMatchObject({
      kind: "malformed",
      idText: "1",
      fault: { name: "invalid-request" },
    });
  });

  test("AZ-19: an array is refused where batches are not accepted", () => {
    expect(parse("[]")).toMatchObject({ kind: "malformed", fault: { name: "invalid-request" } });
  });

  test("PR-15: _meta must be an object, the progress token an id", () => {
    for (const meta of ["1", "[]", '{"progressToken":null}', '{"progressToken":{}}']) {
      const message = parse(request(`"id":1,"method":"x","params":{"_meta":${meta}}`));
      expect(message).toMatchObject({
        kind: "malformed",
        idText: "1",
        fault: { name: "invalid-envelope" },
      });
    }
  });

  test("reads notifications and responses", () => {
    expect(parse(request('"method":"notifications/initialized"'))).toMatchObject({
      kind: "notification",
    });
    expect(parse(request('"id":3,"result":{}'))).toMatchObject({
      kind: "response",
      outcome: "result",
      idText: "3",
    });
  });

  test("PR-09: malformed UTF-8 does not decode, a byte order mark does not parse", () => {
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      expect(decodeUtf8(new Uint8Array([0x22, ...bytes, 0x22]))).toBeUndefined();
    }
    const marked = decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d])) ?? "";
    expect(parse(marked)).toMatchObject({ kind: "malformed", fault: { name: "parse-error" } });
  });

  test("AZ-19: a batch splits into its messages' own text and is bounded", () => {
    expect(splitBatch('[ {"a":1} , 2]', defaultScanLimits, 2)).toEqual({ texts: ['{"a":1}', "2"] });
    expect(splitBatch("[1,2,3]", defaultScanLimits, 2)).toMatchObject({
      fault: { name: "invalid-request" },
    });
    expect(splitBatch("[]", defaultScanLimits, 2)).toMatchObject({
      fault: { name: "invalid-request" },
    });
  });
});
