/**
 * Obligations where they meet the outside: names of the configuration that must exist when a rule is written and when
 * the gateway starts, callers without any credential, what a record keeps of it all, and `import` from the shell.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { repository, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";
import { requestText } from "../support/wires.ts";

const tiny = startTinyServer();
afterAll(() => tiny[Symbol.asyncDispose]());

const requiring = (name: string, obligations: object, condition: object = {}) => ({
  rule: { name, effect: "RULE_EFFECT_REQUIRE", condition, obligations },
});

describe("S01 redaction profiles by name", () => {
  const profile = { name: "shouting", fields: [], text_patterns: ["[A-Z]{3,}"] };

  test("refused when the rule is written, and at a start that no longer has them", async () => {
    await using folder = temporaryFolder("profiles");
    const dataDir = join(folder.path, "data");
    {
      const config = { sanitize: { profiles: [profile] } };
      await using gateway = await startGateway({ dataDir, config });
      using admin = createAdminClient(gateway);
      await registerHttpServer(admin, "tiny", tiny.url);
      const token = await registerClient(admin, "ci", { allowed_tools: ["tiny__*"] });
      const write = (name: string, redaction: string) =>
        admin.call("PolicyService", "CreateRule", requiring(name, { redaction })).then(
          () => "written",
          (error: Error) => error.message,
        );
      expect(await write("typo", "shoutin")).toContain(
        'the configuration has no profile "shoutin"; it has shouting',
      );
      expect(await write("quiet", "shouting")).toBe("written");
      const call = { base: gateway.agents, token, method: "tools/call", scope: "tiny" };
      const params = { name: "echo", arguments: { text: "say it LOUD" } };
      const answer = await modernCall({ ...call, params });
      expect(answer.text).toContain("say it [redacted]");
      const records = await until("the call's outcome", async () => {
        const found = await allRecords(admin, { tool: "echo" });
        return found.length >= 2 ? found : undefined;
      });
      for (const { envelope_json } of records) {
        expect(JSON.parse(envelope_json).facts).toMatchObject({ owed: "redaction:shouting" });
      }
    }
    const start = startGateway({ dataDir });
    const failure = await start.then(
      async (gateway) => {
        await gateway[Symbol.asyncDispose]();
        return "it started";
      },
      (error: Error) => error.message,
    );
    expect(failure).toContain('the configuration has no profile "shouting"');
  });
});

describe("callers without a credential", () => {
  test("AN-24: where a scope is owed they are told to log in: 401 and the scope, 4401 on a socket", async () => {
    const config = { identity: { anonymous: true } };
    await using gateway = await startGateway({ config });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", tiny.url);
    const anybody = {
      rule: { name: "anybody", effect: "RULE_EFFECT_ALLOW", condition: { server: "tiny" } },
    };
    await admin.call("PolicyService", "CreateRule", anybody);
    const scopes = requiring("scoped", { scopes: ["tiny:slow"] }, { target_pattern: "slow" });
    await admin.call("PolicyService", "CreateRule", scopes);
    const ask = (name: string) =>
      modernCall({
        base: gateway.agents,
        scope: "tiny",
        method: "tools/call",
        params: { name, arguments: { text: "x" } },
      });
    expect((await ask("echo")).status).toBe(200);
    const before = tiny.texts.length;
    const refused = await ask("slow");
    expect(refused.status).toBe(401);
    const challenge = refused.headers.get("www-authenticate") ?? "";
    expect(challenge).toContain('scope="tiny:slow"');
    expect(challenge).toContain("resource_metadata=");
    // RFC 6750, section 3.1: who brought no credential is told no error code.
    expect(challenge).not.toContain("error=");
    const upgrade = await openRawWebSocket({
      base: gateway.agents,
      path: "/tiny/ws",
      headers: { "Sec-WebSocket-Protocol": "mcp" },
    });
    if ("refusal" in upgrade) throw new Error("the upgrade was refused");
    using socket = upgrade.webSocket;
    socket.sendText(
      requestText("modern", "tools/call", { name: "slow", arguments: { text: "x" } }),
    );
    expect(JSON.parse(String(await socket.next())).error).toMatchObject({
      code: 40101,
      data: { scope: "tiny:slow" },
    });
    expect(await socket.next()).toBe(4401);
    expect(tiny.texts.length).toBe(before);
  });
});

describe("P22 import from the shell", () => {
  test("a policy file: dry run, import, and the same again", async () => {
    await using gateway = await startGateway();
    const env = { MCP_GATEWAY_ADMIN: gateway.admin, MCP_GATEWAY_DATA_DIR: gateway.dataDir };
    const file = join(repository, "test/support/imports/tool-policy.yaml");
    const dry = await runGateway(["import", file, "--dry-run"], { env });
    expect([dry.exitCode, dry.stderr]).toEqual([0, expect.stringContaining("nothing was stored")]);
    const done = await runGateway(["import", file, "--json"], { env });
    expect(done.exitCode).toBe(0);
    const outcomes = JSON.parse(done.stdout).written.map((one: { outcome: string }) => one.outcome);
    expect(new Set(outcomes)).toEqual(new Set(["created"]));
    const again = await runGateway(["import", file], { env });
    expect(again.stdout).toContain("exists");
    const nobody = await runGateway(["import", file, "--admin", "127.0.0.1:1"], { env });
    expect(nobody.exitCode).toBe(3);
    expect((await runGateway(["import"], { env })).exitCode).toBe(2);
  });
});
