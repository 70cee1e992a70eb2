/**
 * The executable from the shell, as a user types it: the agents' verbs, the operators' verbs, a bridge for desktop
 * clients, one stdio server wrapped by `dev`, and the exit codes 0 done, 1 refused, 2 wrong usage, 3 unreachable.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type CommandEnd, runGateway, startCommand } from "../support/command-line.ts";
import { within } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { executable } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { type SampleGateway, startSampleGateway } from "../support/sample-gateway.ts";
import { connectStdio } from "../support/sdk-agents.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const stack = new AsyncDisposableStack();
let sample: SampleGateway;
let tokenFile = "";
/** The operator's connection, as the environment gives it. */
let operatorEnv: Record<string, string> = {};

beforeAll(async () => {
  sample = stack.use(await startSampleGateway());
  const { admin, dataDir } = sample.gateway;
  operatorEnv = { MCP_GATEWAY_ADMIN: admin, MCP_GATEWAY_DATA_DIR: dataDir };
  const made = await operator(
    "client",
    "register",
    "cli",
    "--allowed-tools",
    "calculator__*",
    "--json",
  );
  const folder = stack.use(temporaryFolder("cli"));
  tokenFile = join(folder.path, "token");
  await Bun.write(tokenFile, `${JSON.parse(made.stdout).token}\n`);
});
afterAll(() => stack.disposeAsync());

const operator = (...args: readonly string[]): Promise<CommandEnd> =>
  runGateway(args, { env: operatorEnv });

const agent = (...args: readonly string[]): Promise<CommandEnd> =>
  runGateway([...args, "--url", sample.gateway.agents, "--token-file", tokenFile]);

describe("an agent in the shell", () => {
  test("list-servers, list-tools and invoke, in words and as JSON", async () => {
    const servers = await agent("list-servers");
    expect(servers.exitCode).toBe(0);
    expect(servers.stdout).toContain("calculator");
    expect(servers.stdout).not.toContain("notes");
    const tools = await agent("list-tools", "calculator", "--json");
    const names = JSON.parse(tools.stdout).map(({ name }: { name: string }) => name);
    expect(names).toContain("exact_calculate");
    const sum = await agent("invoke", "calculator", "add", "--params", '{"a":0.1,"b":0.2}');
    expect(sum).toEqual({ exitCode: 0, stdout: '{"result":"0.3"}\n', stderr: "" });
    await using folder = temporaryFolder("params");
    await Bun.write(join(folder.path, "p.json"), '{"a":40,"b":2}');
    const file = ["--params-file", join(folder.path, "p.json"), "--json"];
    const fromFile = await agent("invoke", "calculator", "add", ...file);
    expect(JSON.parse(fromFile.stdout)).toMatchObject({ structuredContent: { result: "42" } });
  });

  test("exit code 1 where the tool or the gateway refuses", async () => {
    const wrong = await agent("invoke", "calculator", "add", "--params", '{"a":"x","b":2}');
    expect(wrong.exitCode).toBe(1);
    const hidden = await agent("invoke", "notes", "delete_note", "--params", "{}");
    expect(hidden.exitCode).toBe(1);
    const nobody = await runGateway(["list-tools", "all", "--url", sample.gateway.agents]);
    expect(nobody.exitCode).toBe(1);
  });

  test("exit code 2 for wrong usage, with advice", async () => {
    const rows: readonly (readonly [readonly string[], string])[] = [
      [["invoke", "calculator"], "missing TOOL"],
      [["invoke", "calculator", "add", "--parms", "{}"], "did you mean --params?"],
      [["invoke", "calculator", "add", "--params", "[1]"], "needs a JSON object"],
      [["list-tols"], "did you mean list-tools?"],
      [["client", "registr", "x"], "did you mean register?"],
      [["client", "register", "x", "--alowed-tools", "y"], "did you mean --allowed-tools?"],
    ];
    for (const [args, advice] of rows) {
      const { exitCode, stderr, stdout } = await operator(...args);
      expect([args, exitCode, stdout]).toEqual([args, 2, ""]);
      expect(stderr).toContain(advice);
    }
  });

  test("exit code 3 where nobody answers", async () => {
    const port = freePort();
    const url = `http://127.0.0.1:${port}`;
    for (const args of [
      ["list-servers", "--url", url],
      ["invoke", "a", "b", "--url", url],
      ["client", "list", "--admin", `127.0.0.1:${port}`],
    ]) {
      const { exitCode, stderr } = await operator(...args);
      expect([args[0], exitCode]).toEqual([args[0] ?? "", 3]);
      expect(stderr).toContain("nobody answers");
    }
  });
});

describe("an operator in the shell", () => {
  test("every service has its verbs, and they work", async () => {
    const works: readonly (readonly string[])[] = [
      ["client", "list"],
      ["client", "get", "cli"],
      ["client", "list-tokens", "--client-id", "cli"],
      ["client", "list-sessions"],
      ["server", "list"],
      ["server", "check", "notes"],
      ["server", "list-tools", "calculator"],
      ["policy", "create-role", "reader"],
      ["policy", "list-roles"],
      ["policy", "create-rule", "no-writes", "--effect", "deny", "--target-pattern", "write_.*"],
      [
        "policy",
        "explain",
        "client:cli",
        "--server",
        "calculator",
        "--target",
        "add",
        "--action",
        "invoke-tool",
      ],
      ["retention", "create-rule", "month", "--action", "delete", "--retention-days", "30"],
      ["retention", "process-retention", "--validate-only"],
      ["retention", "get-statistics"],
      ["audit", "query-records", "--page-size", "5"],
      ["audit", "verify-log"],
      ["cache", "get-statistics"],
      ["cache", "purge", "--all"],
      ["system", "get-status"],
      ["system", "get-config"],
    ];
    for (const args of works) {
      const { exitCode, stderr, stdout } = await operator(...args);
      expect([args.join(" "), exitCode, stderr]).toEqual([
        args.join(" "),
        0,
        expect.not.stringContaining("mcp-gateway"),
      ]);
      expect(stdout).not.toBe("");
    }
    const json = await operator("policy", "list-roles", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ roles: [{ name: "reader" }] });
  });

  test("exit code 1 where the gateway refuses, with its words", async () => {
    const twice = await operator("client", "register", "cli");
    expect(twice.exitCode).toBe(1);
    expect(twice.stderr).toContain("ALREADY_EXISTS");
    const absent = await operator("client", "get", "nobody");
    expect(absent.exitCode).toBe(1);
    expect(absent.stderr).toContain("NOT_FOUND");
  });

  test("an export goes to standard output whole", async () => {
    const { exitCode, stdout } = await operator(
      "audit",
      "export-records",
      "--format",
      "json-lines",
    );
    expect(exitCode).toBe(0);
    const lines = stdout.trim().split("\n");
    const said = lines.map((line) => JSON.parse(line));
    const records = said.filter(({ kind }) => kind === "record");
    expect(records.map(({ envelope }) => JSON.parse(envelope).event)).toContain("admin.change");
    expect(said.at(-1)).toMatchObject({ kind: "manifest", count: records.length });
  });
});

test("bridge: a desktop client speaks stdio, the gateway answers", async () => {
  const args = ["bridge", "--url", `${sample.gateway.agents}/mcp`, "--token-file", tokenFile];
  await using desktop = await connectStdio(executable, args);
  const names = (await desktop.listTools()).map(({ name }) => name);
  expect(names).toContain("calculator__add");
  expect(await desktop.callTool("calculator__add", { a: 1, b: 2 })).toMatchObject({
    structuredContent: { result: "3" },
  });
  const hidden = desktop.callTool("notes__delete_note", { name: "welcome" });
  expect(await hidden.catch((error: Error) => error.message)).toContain("Unknown tool");
});

test("dev -- COMMAND: one stdio server over HTTP, with a token, ended by Ctrl-C", async () => {
  const command = [executable, "dev", "--", executable, "sample", "notes"];
  await using dev = await startCommand(command, /Ctrl-C stops/);
  const base = /Streamable HTTP\s+(http:\/\/[^/]+)\//.exec(dev.stdout())?.[1] ?? "";
  const file = /^\s*token\s+(\S+)/m.exec(dev.stdout())?.[1] ?? "";
  expect(dev.stdout()).toContain("with 4 tools");
  const token = file.startsWith("mcpgw_") ? file : (await Bun.file(file).text()).trim();
  const answer = await modernCall({
    base,
    scope: "mcp-gateway",
    token,
    method: "tools/call",
    params: { name: "search_notes", arguments: { text: "apples" } },
  });
  expect(answer.result).toMatchObject({ structuredContent: { found: ["groceries"] } });
  dev.kill("SIGINT");
  expect(await within("the end of dev", dev.exited)).toBe(0);
});

test("--version, --help and every command's own help", async () => {
  expect((await runGateway(["--version"])).stdout).toMatch(/^mcp-gateway \d+\.\d+\.\d+\n$/);
  const help = await runGateway(["--help"]);
  expect(help.exitCode).toBe(0);
  const commands = [...help.stdout.matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name ?? "");
  expect(commands.length).toBeGreaterThan(12);
  for (const name of commands) {
    const own = await runGateway([name, "--help"]);
    expect([name, own.exitCode, own.stderr]).toEqual([name, 0, ""]);
    expect(own.stdout).toContain(`Usage: mcp-gateway ${name}`);
  }
  expect((await runGateway([])).exitCode).toBe(2);
});

test("demo --once: a tour on real servers, told step by step, with everything put away after it", async () => {
  const { exitCode, stdout } = await runGateway(["demo", "--once"]);
  expect(exitCode).toBe(0);
  for (const transport of ["Streamable HTTP", "HTTP+SSE", "WebSocket"]) {
    expect(stdout).toContain(transport);
  }
  expect(stdout).toMatch(/allowed/i);
  expect(stdout).toMatch(/refused/i);
});
