/** What a child process gets to see of our environment. */
import { expect, test } from "bun:test";
import { childEnvironment } from "../../../src/servers/stdio.ts";

test("six names are inherited, the operator's are added, the runtime's own are scrubbed", () => {
  const inherited = {
    PATH: "/bin",
    HOME: "/home/x",
    SHELL: "() { evil; }",
    DATABASE_URL: "secret",
    MCP_GATEWAY_TOKEN: "secret",
    USER: undefined,
  };
  const added = { API_KEY: "k", PATH: "/opt/bin", BUN_OPTIONS: "--preload x", BUN_BE_BUN: "1" };
  expect(childEnvironment(inherited, added)).toEqual({
    HOME: "/home/x",
    PATH: "/opt/bin",
    API_KEY: "k",
  });
});
