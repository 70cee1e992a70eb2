/** Receipts: who asks, where they stand, and that no other byte of an answer changes. */
import { describe, expect, test } from "bun:test";
import { createFault } from "../../../src/errors/fault.ts";
import { wantsReceipt, withReceipt } from "../../../src/pipeline/receipts.ts";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../../src/protocol/messages.ts";

const receipt = { log: "log-1", seq: 7, leaf: "ab" };
const written = '"io.mcp-gateway/receipt":{"log":"log-1","seq":7,"leaf":"ab"}';

function request(params: string | undefined): McpRequest {
  const envelope = {
    revision: "2026-07-28",
    clientInfoText: undefined,
    clientCapabilitiesText: "{}",
    logLevel: undefined,
    progressTokenText: undefined,
  } as const;
  const read = params === undefined ? undefined : readObject(params);
  return { kind: "request", idText: "1", method: "tools/call", params: read, envelope };
}

describe("a receipt is wanted", () => {
  const rows: readonly (readonly [string | undefined, boolean])[] = [
    ['{"_meta":{"io.mcp-gateway/receipt":true}}', true],
    ['{"_meta":{"io.mcp-gateway/receipt": true ,"x":1},"name":"t"}', true],
    ['{"_meta":{"io.mcp-gateway/receipt":false}}', false],
    ['{"_meta":{"io.mcp-gateway/receipt":"true"}}', false],
    ['{"arguments":{"io.mcp-gateway/receipt":true},"_meta":{}}', false],
    ['{"_meta":{"x":{"io.mcp-gateway/receipt":true}}}', false],
    ['{"io.mcp-gateway/receipt":true}', false],
    ["{}", false],
    [undefined, false],
  ];
  for (const [params, wanted] of rows) {
    test(`${wanted}: ${params}`, () => {
      expect(wantsReceipt(request(params))).toBe(wanted);
    });
  }

  test("by no message that is no request", () => {
    expect(wantsReceipt(undefined)).toBe(false);
  });
});

describe("a result", () => {
  const textOf = (text: string, given: "given" | "none" = "given") => {
    const own = given === "given" ? receipt : undefined;
    const outcome = withReceipt({ kind: "result", result: readObject(text) }, own);
    return outcome.kind === "result" ? objectText(outcome.result) : "none";
  };
  test("gets it in its _meta, and keeps every byte", () => {
    expect(textOf('{"content" : [1.50,"\\u00e9"],  "x":1e2}')).toBe(
      `{"content" : [1.50,"\\u00e9"],  "x":1e2,"_meta":{${written}}}`,
    );
    expect(textOf('{ "_meta": {"a" : 1.0 } , "b":2}')).toBe(
      `{ "_meta": {"a" : 1.0,${written} } , "b":2}`,
    );
    expect(textOf("{}")).toBe(`{"_meta":{${written}}}`);
  });

  test("does not hand on a server's in its place", () => {
    const forged = '{"_meta":{"io.mcp-gateway/receipt":{"seq":1},"a":1}}';
    expect(textOf(forged)).toBe(`{"_meta":{${written},"a":1}}`);
    expect(textOf(forged, "none")).toBe('{"_meta":{"a":1}}');
  });

  test("without one stays the object it was", () => {
    const result = readObject('{"_meta":{"a":1}}');
    const outcome = withReceipt({ kind: "result", result }, undefined);
    expect(outcome.kind === "result" && outcome.result).toBe(result);
  });

  test("whose _meta is no object is left alone", () => {
    expect(textOf('{"_meta":3}')).toBe('{"_meta":3}');
  });
});

describe("an error", () => {
  const dataOf = (dataText: string | undefined, given: "given" | "none" = "given") => {
    const error = { code: -32000, message: "no", dataText };
    const own = given === "given" ? receipt : undefined;
    const outcome: Outcome = withReceipt({ kind: "error", error }, own);
    return outcome.kind === "error" ? outcome.error.dataText : "none";
  };
  test("gets it in its data", () => {
    expect(dataOf(undefined)).toBe(`{${written}}`);
    expect(dataOf('{"why" : 1.0}')).toBe(`{"why" : 1.0,${written}}`);
    expect(dataOf('"text"')).toBe('"text"');
    expect(dataOf(undefined, "none")).toBeUndefined();
    expect(dataOf('{"io.mcp-gateway/receipt":1}', "none")).toBe("{}");
  });

  test("of the gateway's own too", () => {
    const fault = createFault("policy-denied", "Denied", { data: { hint: "x" } });
    expect(withReceipt({ kind: "fault", fault }, receipt)).toEqual({
      kind: "fault",
      fault: { ...fault, data: { hint: "x", "io.mcp-gateway/receipt": receipt } },
    });
    const outcome = { kind: "fault", fault } as const;
    expect(withReceipt(outcome, undefined)).toBe(outcome);
  });
});
