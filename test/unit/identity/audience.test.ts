/** Whom a token is for (fault AN-08): listed audiences, and the endpoint's own URI in canonical form. */
import { describe, expect, test } from "bun:test";
import {
  audiencesOf,
  canonicalBase,
  canonicalResource,
  isForEndpoint,
} from "../../../src/identity/audience.ts";

const base = canonicalBase("HTTPS://GW.Example:443/");
const endpoint = { binding: "http", scope: "notes" } as const;

describe("AN-08 the endpoint's own URI", () => {
  test.each<[string, unknown, boolean]>([
    ["exact", "https://gw.example/notes/mcp", true],
    ["upper-case scheme and host", "HTTPS://GW.EXAMPLE/notes/mcp", true],
    ["a list with one match", ["https://other.example", "https://gw.example/notes/mcp"], true],
    ["trailing slash", "https://gw.example/notes/mcp/", false],
    ["upper-case path", "https://gw.example/NOTES/mcp", false],
    ["another server", "https://gw.example/mail/mcp", false],
    ["another binding", "https://gw.example/notes/ws", false],
    ["the merge of everything", "https://gw.example/mcp", false],
    ["the gateway alone", "https://gw.example", false],
    ["another gateway of the same code base", "https://gw2.example/notes/mcp", false],
    ["a user in the authority", "https://gw.example@evil.example/notes/mcp", false],
    ["default port", "https://gw.example:443/notes/mcp", false],
    ["plain http", "http://gw.example/notes/mcp", false],
    ["query", "https://gw.example/notes/mcp?x", false],
    ["fragment", "https://gw.example/notes/mcp#x", false],
    ["dots", "https://gw.example/x/../notes/mcp", false],
    ["percent", "https://gw.example/n%6ftes/mcp", false],
    ["wildcard", "*", false],
    ["wildcard path", "https://gw.example/*", false],
    ["empty list", [], false],
    ["a number among them", ["https://gw.example/notes/mcp", 1], false],
    ["33 of them", Array(33).fill("https://gw.example/notes/mcp"), false],
    ["missing", undefined, false],
  ])("%s", (_name, aud, want) => {
    const found = audiencesOf(aud, { kind: "resource", base });
    expect(found !== undefined && isForEndpoint(found.resources ?? [], base, endpoint)).toBe(want);
  });

  test("the merge of everything has two paths, and every binding its own", () => {
    const at = (uri: string, binding: "http" | "sse" | "websocket") =>
      isForEndpoint([base + uri], base, { binding, scope: "all" });
    expect(["/mcp", "/all/mcp"].map((uri) => at(uri, "http"))).toEqual([true, true]);
    expect(["/ws", "/all/ws"].map((uri) => at(uri, "websocket"))).toEqual([true, true]);
    expect(["/sse", "/all/sse"].map((uri) => at(uri, "sse"))).toEqual([false, true]);
    expect(at("/mcp", "websocket")).toBe(false);
  });

  test("only scheme and host lose their case", () => {
    expect(base).toBe("https://gw.example");
    expect(canonicalBase("https://gw.example/Tenant/")).toBe("https://gw.example/Tenant");
    expect(canonicalResource("HTTPS://A.Example/B")).toBe("https://a.example/B");
    expect(canonicalResource("Urn:X")).toBe("Urn:X");
  });
});

test("listed audiences are compared whole", () => {
  const rule = { kind: "listed", values: new Set(["api://a"]) } as const;
  expect(audiencesOf("api://a", rule)).toEqual({ resources: undefined });
  for (const aud of ["API://a", "api://a/", "api://", { a: 1 }, null, 7]) {
    expect(audiencesOf(aud, rule)).toBeUndefined();
  }
});
