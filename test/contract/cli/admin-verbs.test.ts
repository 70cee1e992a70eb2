/** Admin verbs of the command line against the real admin plane, over a real socket. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOutput } from "../../../src/cli/output.ts";
import { runCommand } from "../../../src/cli/run.ts";
import { type AdminPlane, startAdminPlane } from "../../support/admin-plane.ts";

const folder = mkdtempSync(join(tmpdir(), "mcpgw-verbs-"));
let plane: AdminPlane;
let tokenFile = "";

beforeAll(async () => {
  plane = await startAdminPlane();
  tokenFile = join(folder, "admin.token");
  writeFileSync(tokenFile, `${plane.token}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function run(...words: readonly string[]) {
  let out = "";
  let notes = "";
  const output = createOutput({
    write: (text) => {
      out += text;
    },
    writeNote: (text) => {
      notes += text;
    },
    color: false,
  });
  const own = words.includes("--token-file") ? [] : ["--token-file", tokenFile];
  const connection = ["--admin", plane.address, ...own];
  const stop = new AbortController().signal;
  const exitCode = await runCommand([...words, ...connection], { output, stop });
  return { exitCode, out, notes };
}

test("E02: a server and a client are registered, listed, fetched and deleted", async () => {
  const server = await run(
    ...["server", "register", "docs", "--url", "https://docs.example/mcp"],
    ...["--kind", "streamable-http", "--headers", "X-Team=a"],
  );
  expect([server.exitCode, server.notes]).toEqual([0, ""]);
  const client = await run(
    ...["client", "register", "ci", "--display-name", "CI", "--allowed-tools", "docs__*", "--json"],
  );
  expect(JSON.parse(client.out)).toMatchObject({
    client: { id: "ci", enabled: true, allowed_tools: ["docs__*"] },
    token: expect.stringMatching(/^mcpgw_/),
  });
  const list = await run("server", "list");
  expect(list.out).toContain("docs");
  const got = await run("client", "get", "ci");
  expect(got.out).toContain("  display name: CI\n");
  expect((await run("client", "delete", "ci")).exitCode).toBe(0);
});

test("a deny rule is created by its short enumeration names", async () => {
  const created = await run(
    ...["policy", "create-rule", "no-deletes", "--effect", "deny", "--target-pattern", "delete_.*"],
    ...["--priority", "5", "--json"],
  );
  expect(JSON.parse(created.out)).toMatchObject({
    rule: { name: "no-deletes", effect: "RULE_EFFECT_DENY", enabled: true },
  });
});

describe("refusals are exit code 1 with the status and the reason", () => {
  test.each([
    [["client", "get", "nobody"], "NOT_FOUND"],
    [["client", "register", "Not Valid"], "INVALID_ARGUMENT"],
    [["client", "delete", "nobody", "--expected-state-revision", "999"], "ABORTED"],
  ])("%j", async (words, expected) => {
    const { exitCode, notes } = await run(...words);
    expect([exitCode, notes]).toEqual([1, expect.stringContaining(expected)]);
  });

  test("AD: a token that nobody has", async () => {
    const wrong = join(folder, "wrong.token");
    writeFileSync(wrong, "nobody");
    const { exitCode, notes } = await run("client", "list", "--token-file", wrong);
    expect([exitCode, notes]).toEqual([1, expect.stringContaining("UNAUTHENTICATED")]);
  });
});

test("an empty list says so", async () => {
  const { exitCode, notes } = await run("policy", "list-bindings");
  expect([exitCode, notes]).toEqual([0, "none\n"]);
});

test("every unary verb of every noun is served", async () => {
  const words = [
    ["cache", "get-statistics"],
    ["system", "get-status"],
    ["audit", "query"],
  ];
  for (const [noun = "", verb = ""] of [
    ...words,
    ["audit", "verify-log"],
    ["policy", "list-roles"],
  ]) {
    const { exitCode, notes } = await run(noun, verb, "--json");
    expect([noun, verb, exitCode, notes]).toEqual([noun, verb, 0, ""]);
  }
});

test("an export streams its lines, and its manifest goes to stderr", async () => {
  const { exitCode, notes } = await run("audit", "export", "--format", "json-lines");
  expect([exitCode, JSON.parse(notes)]).toEqual([0, expect.objectContaining({ count: 0 })]);
});
