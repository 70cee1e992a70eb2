/** The command line's words: exit codes, advice, help; nothing here starts a gateway. */
import { describe, expect, test } from "bun:test";
import { createOutput } from "../../../src/cli/output.ts";
import { runCommand } from "../../../src/cli/run.ts";

async function run(...args: readonly string[]) {
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
  const exitCode = await runCommand(args, { output, stop: new AbortController().signal });
  return { exitCode, out, notes };
}

const commands = [
  ...["demo", "dev", "serve", "check-config", "migrate", "bridge", "list-servers"],
  ...[
    "list-tools",
    "invoke",
    "client",
    "server",
    "policy",
    "retention",
    "audit",
    "cache",
    "system",
  ],
];

test.each(commands)("%s --help tells its usage", async (name) => {
  const { exitCode, out } = await run(name, "--help");
  expect(exitCode).toBe(0);
  expect(out).toStartWith(`Usage: mcp-gateway ${name} `);
});

describe("wrong usage: exit code 2 and what to do instead", () => {
  test.each([
    [[], "Usage: mcp-gateway COMMAND"],
    [["sevre"], "did you mean serve?"],
    [["__proto__"], 'no command "__proto__"'],
    [["serve", "--prot", "1"], "did you mean --port?"],
    [["serve", "--port", "x"], "whole number"],
    [["serve", "--workers", "4"], "runs one process"],
    [["serve", "extra"], 'unexpected argument "extra"'],
    [["client"], "name a verb: register"],
    [["client", "regster"], "did you mean register?"],
    [["client", "get", "a", "b"], 'unexpected argument "b"'],
    [["invoke", "calculator"], "missing TOOL"],
    [["invoke", "s", "t", "--params", "{"], "--params is not JSON"],
    [["bridge"], "--url needs"],
    [["dev"], "after --"],
    [["sample"], "name a sample"],
  ])("%j", async (args, expected) => {
    const { exitCode, notes } = await run(...args);
    expect(notes).toContain(expected);
    expect(exitCode).toBe(2);
  });
});

test("a verb's help names its RPC and flags", async () => {
  const { exitCode, out } = await run("client", "register", "--help");
  expect(exitCode).toBe(0);
  expect(out).toContain("mcp_gateway.admin.v1.ClientService/RegisterClient");
  expect(out).toContain("--allowed-tools TEXT …");
});

describe("exit codes of failures", () => {
  test("1 for a configuration that is refused", async () => {
    const { exitCode, notes } = await run("check-config", "--preset", "prod");
    expect([exitCode, notes]).toEqual([1, expect.stringContaining("no preset is called")]);
  });

  test("0 for one that is valid, with what differs from the defaults", async () => {
    const { exitCode, out } = await run("check-config", "--preset", "development", "--port", "1");
    expect(exitCode).toBe(0);
    expect(out).toContain("agents.port = 1\n");
    expect(out).toContain("servers.allowPrivateNetwork = true\n");
  });

  test("0 for the defaults, printed as a file with every key", async () => {
    const { exitCode, out } = await run("check-config", "--print-defaults");
    expect([exitCode, out]).toEqual([0, expect.stringContaining("  port: 50051\n")]);
  });

  test("1 for a token file that is not there", async () => {
    const { exitCode } = await run("client", "list", "--token-file", "/none");
    expect(exitCode).toBe(1);
  });

  test("3 where nobody answers, on the admin plane and at the agents' door", async () => {
    const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const address = `127.0.0.1:${probe.port}`;
    await probe.stop(true);
    const admin = await run("client", "list", "--admin", address, "--token-file", "/dev/null");
    const agents = await run(
      "list-servers",
      "--url",
      `http://${address}`,
      "--token-file",
      "/dev/null",
    );
    expect([admin.exitCode, agents.exitCode]).toEqual([3, 3]);
  });
});
