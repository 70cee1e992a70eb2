import { expect, test } from "bun:test";
import { toCamel } from "../../../src/config/camel-case.ts";

test("keys become camelCase all the way down, and values stay as they are", () => {
  const given = {
    data_dir: "/var/lib/mcp_gateway",
    sinks: [{ headers_file: "a_b" }],
    limits: { per_5_minutes: 3, off: null },
    names: ["one_two"],
  };
  expect<unknown>(toCamel(given)).toEqual({
    dataDir: "/var/lib/mcp_gateway",
    sinks: [{ headersFile: "a_b" }],
    limits: { per5Minutes: 3, off: null },
    names: ["one_two"],
  });
});
