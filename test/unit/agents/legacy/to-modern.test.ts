import { describe, expect, test } from "bun:test";
import { readInitialize, toInitializeResult } from "../../../../src/agents/legacy/to-modern.ts";
import { readObject } from "../../../../src/protocol/json-view.ts";
import type { McpRequest } from "../../../../src/protocol/messages.ts";
import { parseMessage } from "../../../../src/protocol/parse-message.ts";
import { defaultScanLimits } from "../../../../src/protocol/scan.ts";

function initialize(params: unknown): McpRequest {
  const text = JSON.stringify({ jsonrpc: "2.0", id: "i", method: "initialize", params });
  return parseMessage(text, defaultScanLimits) as McpRequest;
}

const clientInfo = { name: "c", version: "1" };

describe("readInitialize", () => {
  const revisions = [
    ["2024-11-05", "2024-11-05"],
    ["2025-06-18", "2025-06-18"],
    ["2026-07-28", "2025-11-25"],
    ["nonsense", "2025-11-25"],
  ] as const;
  for (const [asked, given] of revisions) {
    test(`${asked} is answered with ${given}, and asks server/discover`, () => {
      const handshake = readInitialize(
        initialize({ protocolVersion: asked, capabilities: { roots: {} }, clientInfo }),
      );
      expect(handshake).toMatchObject({
        revision: given,
        capabilitiesText: '{"roots":{}}',
        discover: {
          idText: '"i"',
          method: "server/discover",
          envelope: { clientInfoText: JSON.stringify(clientInfo), clientCapabilitiesText: "{}" },
        },
      });
    });
  }

  test("says what is missing", () => {
    const rows: readonly [unknown, string][] = [
      [undefined, "protocolVersion"],
      [{ capabilities: {}, clientInfo }, "2025-11-25"],
      [{ protocolVersion: "2025-11-25", clientInfo }, "capabilities"],
      [{ protocolVersion: "2025-11-25", capabilities: {}, clientInfo: {} }, "clientInfo"],
    ];
    for (const [params, word] of rows) {
      const read = readInitialize(initialize(params));
      expect("fault" in read ? read.fault.message : "").toContain(word);
    }
  });
});

test("toInitializeResult keeps what a legacy client can use, and promises change notices where they can be told", () => {
  const discovered = readObject(
    '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"x": 1},"prompts":{"listChanged":false},' +
      '"resources":{"subscribe":true},"logging":{},"completions":{},"tasks":{},' +
      '"extensions":{"x":{},"io.modelcontextprotocol/ui":{"a": 1}},"experimental":{"y":{}}},' +
      '"instructions":"\\u0041"}',
  );
  expect(toInitializeResult(discovered, "2025-06-18", '{"name":"g"}', true)).toBe(
    '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"x": 1,"listChanged":true},' +
      '"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},' +
      '"completions":{},"extensions":{"io.modelcontextprotocol/ui":{"a": 1}},"experimental":{"y":{}}},' +
      '"serverInfo":{"name":"g"},"instructions":"\\u0041"}',
  );
  expect(toInitializeResult(discovered, "2025-06-18", "{}", false)).toContain(
    '"tools":{"x": 1},"prompts":{},"resources":{},"logging":{}',
  );
  expect(toInitializeResult(readObject("{}"), "2024-11-05", "{}", true)).toBe(
    '{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{}}',
  );
  const foreign = readObject('{"capabilities":{"extensions":{"x":{}}}}');
  expect(toInitializeResult(foreign, "2025-11-25", "{}", true)).toContain('"capabilities":{}');
});
