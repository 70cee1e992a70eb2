/** The name a wrapped server gets from its command. */
import { expect, test } from "bun:test";
import { toServerName } from "../../../src/cli/dev.ts";

test.each([
  ["/usr/bin/My_Server.js", "my-server-js"],
  ["npx", "npx"],
  ["all", "server"],
  ["***", "server"],
  [`${"x".repeat(80)}`, "x".repeat(40)],
  ["a__b", "a-b"],
])("%s -> %s", (command, expected) => {
  expect(toServerName(command)).toBe(expected);
});
