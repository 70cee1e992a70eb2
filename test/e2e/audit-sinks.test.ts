/**
 * Sinks through the executable, by configuration and by the environment (D04, D05, D14, D17): every call is a line in
 * each, a receiver that is away holds up no call, and no identity stands in a line.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { runGateway, startCommand } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { executable, type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { modernCall } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { startOtlpCollector } from "../support/otlp-collector.ts";
import { bodyOf, startStreamSyslog } from "../support/syslog-receiver.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(120_000);

const clientId = "agent-whose-name-stays-here";

async function setUp(gateway: GatewayProcess, url: string): Promise<string> {
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", url);
  return await registerClient(admin, clientId, { allowed_tools: ["tiny__echo"] });
}

const call = (gateway: GatewayProcess, token: string, name: string) =>
  modernCall({
    ...{ base: gateway.agents, scope: "tiny", token, method: "tools/call" },
    params: { name, arguments: { text: "hello" } },
  });

const linesOf = (path: string): readonly Record<string, unknown>[] =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
    : [];

test("D04: file, standard output, syslog and OTLP have every call; one that is away holds up none", async () => {
  await using folder = temporaryFolder("sinks");
  await using upstream = startTinyServer();
  await using syslog = await startStreamSyslog();
  await using collector = startOtlpCollector();
  const path = join(folder.path, "logs", "audit.json");
  const headersFile = join(folder.path, "collector.headers");
  writeFileSync(headersFile, "Authorization: Bearer collect-0r\n", { mode: 0o600 });
  let gateway: GatewayProcess | undefined;
  let printed = "";
  {
    await using running = await startGateway({
      env: { AUDIT_LOG_FILE: path, AUDIT_TO_STDOUT: "true" },
      config: {
        audit: {
          sinks: [
            { name: "siem", kind: "syslog", transport: "tcp", address: syslog.address },
            {
              ...{ name: "otel", kind: "otlp", url: collector.url, resource: ["env=test"] },
              headers_file: headersFile,
            },
            {
              ...{ name: "away", kind: "syslog", transport: "tcp" },
              address: `127.0.0.1:${freePort()}`,
            },
          ],
        },
        servers: { allow_private_network: true },
      },
    });
    gateway = running;
    const token = await setUp(gateway, upstream.url);
    expect((await call(gateway, token, "echo")).error).toBeUndefined();
    await call(gateway, token, "slow");
    const isViolation = (line: Record<string, unknown>) => line.event_type === "policy_violation";
    await until("the file has both calls", () => linesOf(path).some(isViolation));
    await until("syslog has both calls", () =>
      syslog.messages.map(bodyOf).some((line) => isViolation(line)),
    );
    await until("the collector has both calls", () => collector.bodies().some(isViolation));
    await until("the other says that it is away", () =>
      running.stdout().includes("audit.sink_down"),
    );
    expect(await readMetric(gateway.ops, "mcp_gateway_audit_sink_up", 'sink="away"')).toBe(0);
    await until(
      "the others are up",
      async () => (await readMetric(gateway.ops, "mcp_gateway_audit_sink_up", 'sink="siem"')) === 1,
    );
    printed = gateway.stdout();
  }
  const lines = linesOf(path);
  expect(lines.map((line) => line.seq)).toEqual(lines.map((_line, at) => at + 1));
  expect(lines.at(-1)).toMatchObject({ event: "lifecycle.stopped" });
  const [success] = lines.filter((line) => line.event_type === "mcp_request");
  expect(success).toMatchObject({
    level: "info",
    action: "tools/call",
    mcp_server: "tiny",
    tool_name: "echo",
    endpoint_path: "/tiny",
    status: "success",
    response_status: 200,
    user_id: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(lines.find((line) => line.event_type === "policy_violation")).toMatchObject({
    level: "warn",
    status: "denied",
    policy_decision: "deny",
  });
  expect(printed).toContain('"event_type":"policy_violation"');
  const credentials = collector.requests.map(({ authorization }) => authorization);
  expect(new Set(credentials)).toEqual(new Set(["Bearer collect-0r"]));
  expect(printed).not.toContain("collect-0r");
  const everything = [readFileSync(path, "utf8"), printed, ...syslog.messages];
  everything.push(JSON.stringify(collector.requests));
  expect(everything.filter((text) => text.includes(clientId))).toEqual([]);
});

test("D17: audit tail --status denied shows denials as they happen, and nothing else", async () => {
  await using upstream = startTinyServer();
  await using gateway = await startGateway({
    config: { servers: { allow_private_network: true } },
  });
  const token = await setUp(gateway, upstream.url);
  const where = ["--admin", gateway.admin, "--token-file", join(gateway.dataDir, "admin.token")];
  const tailing = [executable, "audit", "tail", "--status", "denied", ...where, "--json"];
  let isSeen = false;
  // The stream is open at some moment after the command starts: calls go on until one of them shows.
  const denying = (async () => {
    while (!isSeen) {
      await call(gateway, token, "echo");
      await call(gateway, token, "slow");
    }
  })();
  try {
    await using tail = await startCommand(tailing, /denied/);
    expect(tail.stdout()).not.toContain('"success"');
  } finally {
    isSeen = true;
    await denying;
  }
});

test.each([
  [{ name: "x", kind: "file" }, "needs path"],
  [
    { name: "x", kind: "file", path: "a", url: "https://b" },
    "url is no key of a sink of kind file",
  ],
  [{ name: "x", kind: "syslog", address: "nowhere" }, "host:port"],
  [{ name: "X Y", kind: "stdout" }, "1 to 63 of a-z"],
  [{ name: "x", kind: "pigeon" }, "audit.sinks[0].kind"],
  [{ name: "x", kind: "syslog", address: "192.0.2.1:514", transport: "udp" }, "plain-sinks"],
  [{ name: "x", kind: "otlp", url: "http://collector.example/v1/logs" }, "plain-sinks"],
])("a sink %p is refused with a reason", async (sink, why) => {
  await using folder = temporaryFolder("sinks");
  const file = join(folder.path, "gateway.yaml");
  await Bun.write(file, JSON.stringify({ audit: { sinks: [sink] } }));
  const { exitCode, stdout, stderr } = await runGateway(["check-config", "--config", file]);
  expect(exitCode).not.toBe(0);
  expect(`${stdout}${stderr}`).toContain(why);
});
