/**
 * Starting, stopping and everything around it, as whoever runs the gateway meets it: hostile folders, strict
 * configuration, signals, restarts, orphans, and the endpoints of operations.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until, within } from "../support/deadline.ts";
import { executable, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { registerStdioServer } from "../support/sample-gateway.ts";
import { needKind } from "../support/sdk-agents.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

describe("CF-05: a hostile current folder changes nothing", () => {
  test("no dotenv, preload, package.json or tsconfig.json of the folder is read", async () => {
    await using folder = temporaryFolder("hostile");
    const mark = join(folder.path, "executed");
    const code = `require("fs").writeFileSync(${JSON.stringify(mark)}, "x")`;
    const plant = (name: string, text: string) => Bun.write(join(folder.path, name), text);
    await plant("evil.js", code);
    await plant("bunfig.toml", 'preload = ["./evil.js"]\n[run]\npreload = ["./evil.js"]\n');
    await plant(".env", "MCP_GATEWAY_LOG_LEVEL=shout\nMCP_GATEWAY_HOST=0.0.0.0\n");
    await plant(".env.production", "MCP_GATEWAY_HOST=0.0.0.0\n");
    await plant("tsconfig.json", '{"compilerOptions":{"paths":{"*":["./evil.js"]}},}');
    await plant("package.json", "{ this is no JSON");
    for (const name of ["node_modules/zod/index.js", "node_modules/@grpc/grpc-js/index.js"]) {
      await plant(name, code);
    }
    const args = ["check-config", "--json"];
    const { exitCode, stdout } = await runGateway(args, { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      agents: { host: "127.0.0.1" },
      log: { level: "info" },
    });
    expect(existsSync(mark)).toBe(false);
  });

  test("serve starts there, with state only in its data folder", async () => {
    await using folder = temporaryFolder("cold");
    await using gateway = await startGateway({ dataDir: join(folder.path, "data") });
    expect(readdirSync(folder.path)).toEqual(["data"]);
    const token = statSync(join(gateway.dataDir, "admin.token"));
    expect(token.mode & 0o777).toBe(0o600);
    expect(statSync(gateway.dataDir).mode & 0o077).toBe(0);
    for (const name of readdirSync(gateway.dataDir)) {
      expect([name, statSync(join(gateway.dataDir, name)).mode & 0o077]).toEqual([name, 0]);
    }
  });

  test("CF-06: variables that bend the runtime are refused by name", async () => {
    for (const [name, value] of [
      ["NODE_TLS_REJECT_UNAUTHORIZED", "0"],
      ["BUN_CONFIG_VERBOSE_FETCH", "curl"],
      ["MCP_GATEWAY_PROT", "1"],
    ] as const) {
      const { exitCode, stderr } = await runGateway(["serve"], { env: { [name]: value } });
      expect([name, exitCode]).toEqual([name, 1]);
      expect(stderr).toContain(name);
    }
  });
});

describe("CF-01: the configuration is read strictly", () => {
  async function check(text: string, ...args: readonly string[]) {
    await using folder = temporaryFolder("config");
    await Bun.write(join(folder.path, "g.yaml"), text);
    return await runGateway(["check-config", "--config", "g.yaml", ...args], { cwd: folder.path });
  }

  test("an unknown key is refused with its line and the nearest name, by serve too", async () => {
    const text = "agents:\n  port: 0\n  prot: 1\n";
    const { exitCode, stderr, stdout } = await check(text);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/g\.yaml:3:3: unknown key agents\.prot; did you mean port\?/);
    await using folder = temporaryFolder("config");
    await Bun.write(join(folder.path, "g.yaml"), text);
    const serve = ["serve", "--config", "g.yaml", "--data-dir", "data"];
    const served = await runGateway(serve, { cwd: folder.path });
    expect(served).toEqual({ exitCode: 1, stdout: "", stderr });
    expect(existsSync(join(folder.path, "data"))).toBe(false);
  });

  test("J04: an issuer that makes no sense is refused before anything is made, by serve too", async () => {
    const issuer = { issuer: "https://accounts.google.com", provider: "google", audiences: ["a"] };
    const text = JSON.stringify({ identity: { jwt: { issuers: [issuer] } } });
    const { exitCode, stderr } = await check(text);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('required_claims must restrict "hd"');
    await using folder = temporaryFolder("config");
    await Bun.write(join(folder.path, "g.yaml"), text);
    const serve = ["serve", "--config", "g.yaml", "--data-dir", "data"];
    const served = await runGateway(serve, { cwd: folder.path });
    expect(served.exitCode).toBe(1);
    expect(served.stderr).toContain('required_claims must restrict "hd"');
    expect(existsSync(join(folder.path, "data"))).toBe(false);
  });

  test("a good file: exit code 0, and what it changes", async () => {
    const { exitCode, stdout } = await check("agents: {port: 8123}\n");
    expect([exitCode, stdout]).toEqual([0, "agents.port = 8123\n"]);
  });

  test("a missing file and a wrong flag have exit codes of their own", async () => {
    expect((await runGateway(["check-config", "--config", "absent.yaml"])).exitCode).toBe(1);
    const wrong = await runGateway(["check-config", "--confg", "x"]);
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain("did you mean --config?");
  });

  const relaxations: readonly (readonly [string, string])[] = [
    ["anonymous-access", "identity: {anonymous: true}"],
    ["private-network-servers", "servers: {allow_private_network: true}"],
    ["unrecorded-calls", "audit: {class_b_on_failure: open}"],
    ["audit-off", "audit: {enabled: false}"],
    ["unmasked-results", "sanitize: {enabled: false}"],
    ["unchecked-arguments", "validation: {tool_arguments: false}"],
    ["plain-http-public-url", "agents: {public_url: 'http://gateway.example'}"],
    ["accepted-risks", "i_accept: [admin-without-tls]"],
    ["admin-without-tls", "admin: {host: 0.0.0.0}"],
  ];
  for (const preset of ["production", "high_security", "gdpr_focused"]) {
    test(`CF-02: ${preset} refuses every relaxation by name`, async () => {
      for (const [risk, text] of relaxations) {
        const { exitCode, stderr } = await check(`${text}\n`, "--preset", preset);
        expect([risk, exitCode]).toEqual([risk, 1]);
        expect(stderr).toContain(`g.yaml:1:`);
        expect(stderr).toContain(`refused under the ${preset} preset (${risk})`);
      }
      expect((await check("log: {level: warn}\n", "--preset", preset)).exitCode).toBe(0);
    });
  }
});

describe("CF-08: signals", () => {
  test("SIGTERM lets a running call finish and its record be written, takes no new one, exits 0", async () => {
    await using folder = temporaryFolder("drain");
    await using upstream = startTinyServer();
    await using gateway = await startGateway({ dataDir: folder.path });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "worker", { allowed_tools: ["tiny__*"] });
    const call = (delay_ms: number) =>
      modernCall({
        base: gateway.agents,
        scope: "tiny",
        token,
        method: "tools/call",
        params: { name: "slow", arguments: { text: "done", delay_ms } },
      });
    await call(0);
    const running = call(700);
    await until("the call at the server", () => upstream.seen.length === 2);
    gateway.kill("SIGTERM");
    await until("no new calls", () =>
      call(0).then(
        (answer) => answer.status === 503,
        () => true,
      ),
    );
    const seen = upstream.seen.length;
    expect((await running).result).toMatchObject({ content: [{ text: "done" }] });
    expect(await within("the end", gateway.exited)).toBe(0);
    expect(upstream.seen).toHaveLength(seen);

    await using again = await startGateway({ dataDir: folder.path });
    using reader = createAdminClient(again);
    const records = await until("both runs' records", async () => {
      const found = await allRecords(reader);
      const starts = found.filter(({ event }) => event === "lifecycle.started");
      return starts.length === 2 ? found : undefined;
    });
    const events = records.map(({ event, status }) => `${event} ${status}`.trim());
    expect(events).toContain("lifecycle.stopped");
    expect(events.filter((event) => event === "call.outcome success")).toHaveLength(seen);
    expect(events).not.toContain("recovery.closed_intents");
  });

  test("a second SIGTERM ends it at once", async () => {
    await using upstream = startTinyServer();
    await using gateway = await startGateway();
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "worker", { allowed_tools: ["*"] });
    const waiting = modernCall({
      base: gateway.agents,
      scope: "tiny",
      token,
      method: "tools/call",
      params: { name: "slow", arguments: { delay_ms: 20_000 } },
    }).catch(() => undefined);
    await until("the call at the server", () => upstream.seen.length === 1);
    gateway.kill("SIGTERM");
    await until("the drain", () => isDraining(gateway.ops));
    gateway.kill("SIGTERM");
    // The call, which the first one waits for, takes longer than that.
    expect(await within("the end", gateway.exited, 10_000)).toBe(130);
    await waiting;
  });

  async function isDraining(ops: string): Promise<boolean> {
    const response = await fetch(`${ops}/health/ready`);
    return response.status === 503 && (await response.text()).includes("draining");
  }
});

describe("a restart", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`CF-07 R-01: after ${signal} clients, tokens, servers and policy are as before`, async () => {
      await using folder = temporaryFolder("restart");
      await using upstream = startTinyServer();
      await using first = await startGateway({ dataDir: folder.path });
      let token = "";
      {
        using admin = createAdminClient(first);
        await registerHttpServer(admin, "tiny", upstream.url);
        token = await registerClient(admin, "keeper", { allowed_tools: ["tiny__*"] });
        const condition = { target_pattern: "slow" };
        const rule = { name: "no-slow", effect: "RULE_EFFECT_DENY", enabled: true, condition };
        await admin.call("PolicyService", "CreateRule", { rule });
      }
      first.kill(signal);
      await first.exited;
      await using second = await startGateway({ dataDir: folder.path });
      expect(second.adminToken).toBe(first.adminToken);
      const call = (name: string) =>
        modernCall({
          base: second.agents,
          token,
          method: "tools/call",
          params: { name: `tiny__${name}`, arguments: { text: "kept" } },
        });
      expect(await call("echo")).toMatchObject({ result: { content: [{ text: "kept" }] } });
      expect((await call("slow")).error).toMatchObject({ code: -32602 });
    });
  }

  test("a second gateway on the same data folder is refused, and says why", async () => {
    await using gateway = await startGateway();
    const args = ["serve", "--data-dir", gateway.dataDir];
    for (const flag of ["--port", "--admin-port", "--ops-port"]) args.push(flag, "0");
    const second = await runGateway(args);
    expect(second.exitCode).toBe(1);
    expect(second.stderr + second.stdout).toContain(gateway.dataDir);
    expect(second.stderr).not.toMatch(/^\s+at /m);
    expect((await fetch(`${gateway.ops}/health/ready`)).status).toBe(200);
  });
});

describe("a start that cannot be", () => {
  const rows: readonly (readonly [string, readonly string[], string])[] = [
    ["a data folder inside a file", ["--data-dir", "/dev/null/data"], "/dev/null/data"],
    [
      "a port without permission or taken",
      ["--admin-port", "TAKEN"],
      "cannot listen on 127.0.0.1:",
    ],
    ["an agents' port taken", ["--port", "TAKEN"], "in use"],
  ];
  for (const [name, args, words] of rows) {
    test(`${name}: one line that says why, exit code 1, no stack trace`, async () => {
      using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
      const free = ["--port", "0", "--admin-port", "0", "--ops-port", "0"];
      const given = args.map((arg) => arg.replace("TAKEN", String(taken.port)));
      const { exitCode, stderr, stdout } = await runGateway(["serve", ...free, ...given]);
      expect(exitCode).toBe(1);
      expect(stderr).toContain("mcp-gateway serve: ");
      expect(stderr).toContain(words);
      expect(stderr).not.toMatch(/^\s+at /m);
      // A folder that cannot be made is no database that may come up yet.
      expect(stdout).not.toContain("storage.waiting");
    });
  }
});

describe("no orphan is left behind", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`a stdio server ends with its gateway after ${signal}`, async () => {
      await using gateway = await startGateway();
      using admin = createAdminClient(gateway);
      await registerStdioServer(admin, "notes", executable, ["sample", "notes"]);
      const token = await registerClient(admin, "writer", { allowed_tools: ["*"] });
      await using agent = await needKind("SDK v1, WebSocket").connect({
        base: gateway.agents,
        token,
      });
      await agent.callTool("notes__search_notes", { text: "a" });
      const [child] = childrenOf(gateway.pid);
      expect(child).toBeGreaterThan(0);
      gateway.kill(signal);
      await within("the gateway's end", gateway.exited);
      await until("the server's end", () => !isRunning(child ?? 0));
    });
  }

  function childrenOf(pid: number): readonly number[] {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ")
      .filter(Boolean)
      .map(Number);
  }

  function isRunning(pid: number): boolean {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  }
});

test("O03 O04: the endpoints of operations", async () => {
  await using gateway = await startGateway();
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${gateway.ops}${path}`, init);
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      text: await response.text(),
    };
  };
  expect(await get("/health/live")).toMatchObject({ status: 200 });
  expect(await get("/health/ready")).toMatchObject({ status: 200, text: '{"status":"ready"}' });
  const detailed = JSON.parse((await get("/health/detailed")).text);
  expect(detailed).toMatchObject({
    status: "ready",
    checks: [{ name: "audit" }, { name: "integrity", status: "ok" }, { name: "database" }],
  });
  const metrics = await get("/metrics");
  expect(metrics.type).toContain("text/plain");
  expect(metrics.text).toContain("mcp_gateway_state_revision 0");
  expect((await get("/metrics/prometheus")).text).toContain(
    "# TYPE mcp_gateway_calls_total counter",
  );
  expect(JSON.parse((await get("/metrics/security")).text)).toMatchObject({ policy_denials: 0 });
  expect(await get("/nothing")).toMatchObject({ status: 404 });
  expect(await get("/metrics", { method: "POST" })).toMatchObject({ status: 405 });
  expect((await fetch(`${gateway.agents}/health`)).status).toBe(200);
  expect((await fetch(`${gateway.agents}/metrics`)).status).toBe(404);
});
