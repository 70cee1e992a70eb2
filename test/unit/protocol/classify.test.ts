import { describe, expect, test } from "bun:test";
import { classifyHttp } from "../../../src/protocol/classify.ts";
import { parseMessage } from "../../../src/protocol/parse-message.ts";
import { defaultScanLimits } from "../../../src/protocol/scan.ts";

const meta =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const headers = {
  "MCP-Protocol-Version": "2026-07-28",
  "Mcp-Method": "tools/call",
  "Mcp-Name": "add",
};

function classify(body: string, given: Record<string, string>) {
  const message = parseMessage(`{"jsonrpc":"2.0",${body}}`, defaultScanLimits);
  if (message.kind === "malformed") throw new Error(message.fault.message);
  return classifyHttp(message, new Headers(given));
}

const call = `"id":1,"method":"tools/call","params":{"name":"add","arguments":{},${meta}}`;

describe("classifyHttp", () => {
  test("a complete envelope with agreeing headers is modern", () => {
    const verdict = classify(call, headers);
    expect(verdict).toMatchObject({
      era: "modern",
      message: { envelope: { revision: "2026-07-28" } },
    });
  });

  test.each([
    ["initialize", '"id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}', {}],
    ["a bare request", '"id":1,"method":"tools/list"', { "MCP-Protocol-Version": "2025-06-18" }],
    ["a bare notification", '"method":"notifications/initialized"', {}],
    ["a response", '"id":1,"result":{}', {}],
  ])("%s is legacy", (_, body, given) => {
    expect(classify(body, given).era).toBe("legacy");
  });

  test.each([
    [
      "PR-12: no version header",
      { "Mcp-Method": "tools/call", "Mcp-Name": "add" },
      "header-mismatch",
    ],
    [
      "PR-12: another version header",
      { ...headers, "MCP-Protocol-Version": "2025-11-25" },
      "header-mismatch",
    ],
    [
      "PR-12: no method header",
      { "MCP-Protocol-Version": "2026-07-28", "Mcp-Name": "add" },
      "header-mismatch",
    ],
    ["PR-12: another method", { ...headers, "Mcp-Method": "Tools/Call" }, "header-mismatch"],
    [
      "PR-12: no name header",
      { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call" },
      "header-mismatch",
    ],
    ["PR-12: another name", { ...headers, "Mcp-Name": "sub" }, "header-mismatch"],
    ["PR-12: bad base64", { ...headers, "Mcp-Name": "=?base64?###?=" }, "header-mismatch"],
    [
      "PR-12: a sentinel of another value",
      { ...headers, "Mcp-Name": "=?base64?c3Vi?=" },
      "header-mismatch",
    ],
    [
      "PR-12: the sentinel in the wrong case",
      { ...headers, "Mcp-Name": "=?BASE64?YWRk?=" },
      "header-mismatch",
    ],
  ])("%s is refused", (_, given, name) => {
    expect(classify(call, given as Record<string, string>)).toMatchObject({
      era: "refused",
      fault: { name },
    });
  });

  test("PR-12: a sentinel that decodes to the body's value agrees", () => {
    expect(classify(call, { ...headers, "Mcp-Name": "=?base64?YWRk?=" }).era).toBe("modern");
  });

  test("PR-14: an unknown version is refused with the supported list", () => {
    const verdict = classify(call.replace("2026-07-28", "2099-01-01"), {
      ...headers,
      "MCP-Protocol-Version": "2099-01-01",
    });
    expect(verdict).toMatchObject({
      fault: {
        name: "unsupported-version",
        data: { supported: ["2026-07-28"], requested: "2099-01-01" },
      },
    });
  });

  test.each([
    ["no envelope under a modern header", '"id":1,"method":"tools/list"', "invalid-envelope"],
    ["initialize under a modern header", '"id":1,"method":"initialize"', "header-mismatch"],
    ["a response under a modern header", '"id":1,"result":{}', "invalid-request"],
    [
      "an envelope without capabilities",
      '"id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}',
      "invalid-envelope",
    ],
    [
      "an unknown log level",
      call.replace("{}}}", '{},"io.modelcontextprotocol/logLevel":"loud"}}'),
      "invalid-params",
    ],
  ] as const)("PR-15: %s is refused", (_, body, name) => {
    expect(classify(body, headers)).toMatchObject({ era: "refused", fault: { name } });
  });
});
