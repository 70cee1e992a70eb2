import { expect, test } from "bun:test";
import { type Endpoint, matchPath, readTarget } from "../../../src/agents/paths.ts";

const http = (scope: string, path: string): Endpoint => ({ kind: "http", scope, path });

test("TH-12: the table of paths, exact or nothing", () => {
  const rows: readonly [string, Endpoint | undefined][] = [
    ["/mcp", http("all", "/mcp")],
    ["/all/mcp", http("all", "/all/mcp")],
    ["/notes-2/mcp", http("notes-2", "/notes-2/mcp")],
    ["/notes/sse", { kind: "sse", scope: "notes", path: "/notes/sse" }],
    ["/ws", { kind: "websocket", scope: "all", path: "/ws" }],
    ["/notes/ws-ticket", { kind: "ticket", scope: "notes", path: "/notes/ws-ticket" }],
    ["/ws-ticket", undefined],
    ["/.well-known/oauth-protected-resource/notes/ws-ticket", undefined],
    ["/", { kind: "root" }],
    ["/health", { kind: "health" }],
    [
      "/.well-known/oauth-protected-resource",
      { kind: "resource-metadata", resourcePath: "/mcp", resourceScope: "all" },
    ],
    ["/.well-known/oauth-authorization-server", { kind: "authorization-server" }],
    [
      "/.well-known/oauth-protected-resource/notes/sse",
      { kind: "resource-metadata", resourcePath: "/notes/sse", resourceScope: "notes" },
    ],
    ["/.well-known/oauth-protected-resource/", undefined],
    ["/.well-known/oauth-protected-resource/nothing", undefined],
    ["/.well-known/mcp", undefined],
    ["/sse", undefined],
    ["", undefined],
    ["mcp", undefined],
    ["//mcp", undefined],
    ["/mcp/", undefined],
    ["/a/b/mcp", undefined],
    ["/A/mcp", undefined],
    [`/${"a".repeat(63)}/mcp`, http("a".repeat(63), `/${"a".repeat(63)}/mcp`)],
    [`/${"a".repeat(64)}/mcp`, undefined],
  ];
  for (const [path, expected] of rows) expect([path, matchPath(path)]).toEqual([path, expected]);
});

test("a target is taken apart without being normalised", () => {
  const rows: readonly [string, string, string][] = [
    ["http://h:1/mcp?a=/b?c", "/mcp", "a=/b?c"],
    ["http://h/%6dcp", "/%6dcp", ""],
    ["/mcp?x", "/mcp", "x"],
    ["/a//b/mcp", "/a//b/mcp", ""],
    ["h:80", "h:80", ""],
  ];
  for (const [url, path, query] of rows) expect(readTarget(url)).toEqual({ path, query });
});
