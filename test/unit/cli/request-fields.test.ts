/** Flags become the fields of a request, by the descriptor. */
import { describe, expect, test } from "bun:test";
import { listRpcs } from "../../../src/cli/descriptor.ts";
import { buildRequest, type WrittenFlag } from "../../../src/cli/request-fields.ts";

function build(
  noun: string,
  name: string,
  flags: readonly (readonly [string, string | undefined])[],
  bare?: string,
) {
  const type = listRpcs(noun).find((rpc) => rpc.name === name)?.requestType ?? "";
  const written: WrittenFlag[] = flags.map(([flag, text]) => ({ name: flag, text }));
  return buildRequest(type, {}, written, bare);
}

test("a bare argument names the object; repeated flags add up; booleans need no value", () => {
  const flags = [
    ["allowed-tools", "calculator__*"],
    ["allowed-tools", "notes__*"],
    ["enabled", undefined],
    ["validate-only", "true"],
    ["requests-per-minute", "5"],
  ] as const;
  expect(build("client", "RegisterClient", flags, "ci")).toEqual({
    client: {
      id: "ci",
      allowed_tools: ["calculator__*", "notes__*"],
      enabled: true,
      limits: { requests_per_minute: 5 },
    },
    validate_only: true,
  });
});

test("fields of a message two levels down, maps, and enumerations by their short names", () => {
  const flags = [
    ["url", "https://x/mcp"],
    ["kind", "streamable-http"],
    ["headers", "X-Key=a=b"],
    ["era", "SERVER_ERA_AUTO"],
  ] as const;
  expect(build("server", "RegisterServer", flags, "docs")).toEqual({
    server: {
      name: "docs",
      remote: {
        url: "https://x/mcp",
        kind: "REMOTE_KIND_STREAMABLE_HTTP",
        headers: { "X-Key": "a=b" },
      },
      era: "SERVER_ERA_AUTO",
    },
  });
});

test("a whole message as JSON, and a dotted name", () => {
  expect(build("server", "RegisterServer", [["server", '{"name":"x"}']])).toEqual({
    server: { name: "x" },
  });
  expect(build("audit", "QueryRecords", [["filter.client", "ci"]])).toEqual({
    filter: { client: "ci" },
  });
});

describe("refused as wrong usage", () => {
  test.each([
    ["client", "GetClient", [["idd", "x"]], "did you mean --id?"],
    ["client", "ListClients", [["page-size", "many"]], "needs a whole number"],
    ["client", "ListClients", [["page-size", undefined]], "needs a value"],
    ["server", "RegisterServer", [["era", "old"]], "one of auto, legacy, modern"],
    ["server", "RegisterServer", [["headers", "novalue"]], "needs KEY=VALUE"],
    ["server", "RegisterServer", [["server", "{"]], "is not JSON"],
    ["client", "RegisterClient", [["enabled", "maybe"]], "true or false"],
  ] as const)("%s %s %j", (noun, name, flags, expected) => {
    expect(() => build(noun, name, flags)).toThrow(expected);
  });
});
