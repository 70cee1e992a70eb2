import { describe, expect, test } from "bun:test";
import { toLegacyError, toLegacyResult } from "../../../../src/agents/legacy/to-legacy.ts";
import { objectText, readObject } from "../../../../src/protocol/json-view.ts";
import type { LegacyRevision } from "../../../../src/protocol/revisions.ts";

function told(method: string, text: string, revision: LegacyRevision = "2025-11-25"): string {
  const outcome = toLegacyResult(method, readObject(text), revision);
  return outcome.kind === "result" ? objectText(outcome.result) : JSON.stringify(outcome.error);
}

const textOf = (text: string) => JSON.stringify({ type: "text", text });

describe("PR-04: a result changes where the client's revision demands it, and nowhere else", () => {
  const info = '"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"g"}}';
  const rows: readonly [string, string][] = [
    ['{ "a" : 1e400 }', '{ "a" : 1e400 }'],
    ['{"resultType":"complete","ttlMs":0,"cacheScope":"private","a": 1}', '{"a": 1}'],
    [`{"a":1,${info}}`, '{"a":1}'],
    ['{"_meta":{"io.modelcontextprotocol/serverInfo":{},"k": 2}}', '{"_meta":{"k": 2}}'],
    ['{"content":[],"structuredContent":{"a":1}}', '{"content":[],"structuredContent":{"a":1}}'],
  ];
  for (const [text, expected] of rows) {
    test(text, () => expect(told("tools/call", text)).toBe(expected));
  }

  test("the result in the middle of a longer text", () => {
    const text = `{"x":"audio","result":{"content":[{"type":"audio"}],"ttlMs":1}}`;
    const outcome = toLegacyResult(
      "tools/call",
      readObject(text, text.indexOf('{"content"')),
      "2024-11-05",
    );
    if (outcome.kind !== "result") throw new Error("no result");
    expect(objectText(outcome.result)).toContain('{"content":[{"type":"text"');
    expect(objectText(outcome.result)).not.toContain("ttlMs");
  });
});

describe("structured content that is no object", () => {
  const rows: readonly [string, string, string][] = [
    [
      "goes where its text is there",
      '{"content":[{"type":"text","text":"5"}],"structuredContent": 5}',
      '{"content":[{"type":"text","text":"5"}]}',
    ],
    [
      "becomes the text where there is none",
      '{"content":[],"structuredContent":[1, "\\u00e9"]}',
      `{"content":[${textOf('[1, "\\u00e9"]')}]}`,
    ],
    ["also without content", '{"structuredContent":null}', `{"content":[${textOf("null")}]}`],
  ];
  for (const [title, text, expected] of rows) {
    test(title, () => expect(told("tools/call", text)).toBe(expected));
  }

  test("a tool's schema of it goes from the list, and no other byte", () => {
    const rest = '"inputSchema":{"type": "object"}, "x": 1.0';
    const object = `{"name":"a","outputSchema":{"type":"object", "properties":{}},${rest}}`;
    const none = `{"name":"outputSchema",${rest}}`;
    const list = [
      object,
      `{"name":"b","outputSchema":{"type":"array"},${rest}}`,
      none,
      `{"name":"c","outputSchema":true,${rest}}`,
    ];
    expect(
      told("tools/list", `{"tools":[${list.join(", ")}],"nextCursor":"n"}`, "2025-06-18"),
    ).toBe(
      `{"tools":[${object}, {"name":"b",${rest}}, ${none}, {"name":"c",${rest}}],"nextCursor":"n"}`,
    );
  });
});

describe("content types too new for the revision become text", () => {
  const audio = '{"type":"audio","mimeType":"audio/wav","data":"AAAA"}';
  const link = '{"type":"resource_link","uri":"file:///a","name":"A","description":"An a"}';
  const plain = '{"type":"text", "text":"\\"audio\\" and \\"resource_link\\""}';
  const audioText = textOf("[audio, audio/wav: this revision cannot carry it]");
  const linkText = textOf("A: file:///a\nAn a");
  const rows: readonly [LegacyRevision, string, string][] = [
    ["2024-11-05", audioText, linkText],
    ["2025-03-26", audio, linkText],
    ["2025-06-18", audio, link],
    ["2025-11-25", audio, link],
  ];
  for (const [revision, audioTold, linkTold] of rows) {
    test(`in a tool result for ${revision}`, () => {
      expect(told("tools/call", `{"content":[${plain}, ${audio},${link}]}`, revision)).toBe(
        `{"content":[${plain}, ${audioTold},${linkTold}]}`,
      );
    });
    test(`in a prompt for ${revision}`, () => {
      const prompt = (content: string) =>
        `{"messages":[{"role":"user","content":${content}, "x":1}]}`;
      expect(told("prompts/get", prompt(audio), revision)).toBe(prompt(audioTold));
      expect(told("prompts/get", prompt(link), revision)).toBe(prompt(linkTold));
    });
  }
});

describe("results that no legacy client can read", () => {
  for (const resultType of ["input_required", "task"]) {
    test(resultType, () => {
      const result = readObject(`{"resultType":"${resultType}","requestState":"s"}`);
      const call = toLegacyResult("tools/call", result, "2025-11-25");
      expect(call.kind === "result" && JSON.parse(objectText(call.result)).isError).toBe(true);
      const prompt = toLegacyResult("prompts/get", result, "2025-11-25");
      expect(prompt.kind === "error" && prompt.error.code).toBe(-32603);
    });
  }
});

test("an error of any other code is told as it came", () => {
  const error = { code: -32042, message: "m", dataText: '{ "a":1}' };
  expect(toLegacyError("tools/call", error)).toEqual({ kind: "error", error });
});
