import { describe, expect, test } from "bun:test";
import {
  modernResultText,
  renderAnswer,
  renderRelayed,
  statusOf,
} from "../../../src/agents/render-answer.ts";
import { createFault } from "../../../src/errors/fault.ts";
import { readObject } from "../../../src/protocol/json-view.ts";
import type { Outcome } from "../../../src/protocol/messages.ts";

const info = '{"name":"g"}';
const infoMember = `"_meta":{"io.modelcontextprotocol/serverInfo":${info}}`;

describe("PR-04: a result changes where its revision demands it, and nowhere else", () => {
  const modern: readonly [string, string, string][] = [
    ["tools/call", "{}", `{"resultType":"complete",${infoMember}}`],
    ["tools/call", '{ "a" : 1e400 }', `{"resultType":"complete",${infoMember}, "a" : 1e400 }`],
    [
      "tools/list",
      '{"ttlMs":5,"tools":[]}',
      `{"resultType":"complete","cacheScope":"private",${infoMember},"ttlMs":5,"tools":[]}`,
    ],
    [
      "tools/call",
      '{"resultType":"input_required","_meta":{"x": 1}}',
      `{"resultType":"input_required","_meta":{"x": 1,"io.modelcontextprotocol/serverInfo":${info}}}`,
    ],
    [
      "tools/call",
      '{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}',
      '{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}',
    ],
  ];
  for (const [method, text, expected] of modern) {
    test(`modern ${method} ${text}`, () => {
      expect(modernResultText(method, readObject(text), info)).toBe(expected);
    });
  }
});

test("execution is of the older revisions: tools go to modern agents without it, to legacy ones with it", () => {
  const tools =
    '{"tools":[{"name":"a", "execution":{"taskSupport":"optional"},"x": 1},{"name":"b","about":"execution"}],"ttlMs":1}';
  const outcome: Outcome = { kind: "result", result: readObject(tools) };
  const text = (era: "legacy" | "modern") =>
    renderAnswer({ idText: "1", method: "tools/list", era }, { outcome, limit: undefined }, info);
  expect(text("modern")).toContain(
    '"tools":[{"name":"a","x": 1},{"name":"b","about":"execution"}]',
  );
  expect(text("legacy")).toContain('"execution":{"taskSupport":"optional"}');
  const required = '{"tools":[{"name":"a","execution":{"taskSupport":"required"}, "x":1}]}';
  const asked = { idText: "1", method: "tools/list", era: "legacy" } as const;
  const reply = {
    outcome: { kind: "result", result: readObject(required) },
    limit: undefined,
  } as const;
  expect(renderAnswer(asked, reply, "{}")).toContain('"tools":[{"name":"a", "x":1}]');
});

describe("codes of the modern revisions are never told to a legacy client", () => {
  const answer = (method: string, outcome: Outcome, era: "legacy" | "modern" = "legacy") =>
    JSON.parse(renderAnswer({ idText: "1", method, era }, { outcome, limit: undefined }, info));
  const error = (code: number): Outcome => ({
    kind: "error",
    error: { code, message: "Need more", dataText: '{"requiredCapabilities":{"roots":{}}}' },
  });
  const missing: Outcome = {
    kind: "fault",
    fault: createFault("missing-client-capability", "Need roots"),
  };

  test("a missing capability is the tool's own failure, and an internal error elsewhere", () => {
    for (const outcome of [error(-32021), missing]) {
      expect(answer("tools/call", outcome).result).toMatchObject({
        isError: true,
        content: [{ type: "text", text: expect.stringContaining("Need") }],
      });
      expect(answer("prompts/get", outcome).error.code).toBe(-32603);
      expect(answer("tools/call", outcome, "modern").error.code).toBe(-32021);
    }
    expect(answer("tools/call", error(-32021)).result.content[0].text).toContain("roots");
    expect(statusOf(missing, "legacy")).toBe(200);
    expect(statusOf(missing, "modern")).toBe(400);
  });

  test("the other two are internal errors; a refusal without a method is told as it is", () => {
    for (const code of [-32020, -32022]) {
      expect(answer("tools/call", error(code)).error.code).toBe(-32603);
    }
    const mismatch: Outcome = { kind: "fault", fault: createFault("header-mismatch", "") };
    expect(answer("", mismatch).error.code).toBe(-32020);
  });
});

test("resource not found has the code of the agent's era", () => {
  const code = (era: "legacy" | "modern", method: string, outcome: Outcome) =>
    JSON.parse(renderAnswer({ idText: "1", method, era }, { outcome, limit: undefined }, info))
      .error.code;
  const error = (number: number, dataText?: string): Outcome => ({
    kind: "error",
    error: { code: number, message: "", dataText },
  });
  const hidden: Outcome = { kind: "fault", fault: createFault("target-hidden", "") };
  expect(code("legacy", "resources/read", error(-32602, '{"uri":"x:1"}'))).toBe(-32002);
  expect(code("legacy", "resources/read", error(-32602))).toBe(-32602);
  expect(code("legacy", "resources/read", hidden)).toBe(-32002);
  expect(code("modern", "resources/read", error(-32002))).toBe(-32602);
  expect(code("modern", "resources/read", hidden)).toBe(-32602);
  expect(code("legacy", "tools/call", hidden)).toBe(-32602);
});

test("a question has no hints, whatever it interrupts", () => {
  const question = readObject('{"resultType":"input_required","requestState":"x"}');
  expect(modernResultText("resources/read", question, info)).toBe(
    `{${infoMember},"resultType":"input_required","requestState":"x"}`,
  );
});

test("statuses: ours for our faults, 200 for what a server said but for two codes", () => {
  const fault = (name: "method-not-found" | "policy-denied"): Outcome => ({
    kind: "fault",
    fault: createFault(name, ""),
  });
  expect(statusOf(fault("method-not-found"), "modern")).toBe(404);
  expect(statusOf(fault("method-not-found"), "legacy")).toBe(200);
  expect(statusOf(fault("policy-denied"), "legacy")).toBe(403);
  const said = (code: number): Outcome => ({
    kind: "error",
    error: { code, message: "", dataText: undefined },
  });
  expect(statusOf(said(1), "modern")).toBe(200);
  expect(statusOf(said(-32602), "modern")).toBe(200);
  expect(statusOf(said(-32021), "modern")).toBe(400);
  expect(statusOf(said(-32601), "modern")).toBe(404);
  expect(statusOf(said(-32021), "legacy")).toBe(200);
  expect(statusOf(said(-32601), "legacy")).toBe(200);
});

test("a relayed message is a notification with its params as they came", () => {
  const params = readObject('{ "progress" : 1.0 }');
  expect(renderRelayed({ method: "notifications/progress", params })).toBe(
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{ "progress" : 1.0 }}',
  );
});
