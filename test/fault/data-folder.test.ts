/**
 * What may befall the data folder between and beside gateways: two of them on one folder, and an old copy of the
 * spool put back while the database is ahead.
 */
import { expect, test } from "bun:test";
import { cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { openModern } from "../support/echo-agents.ts";
import { executable, startGateway } from "../support/gateway-process.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { untilDrained } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

test("ST-17: a second gateway on the same data folder refuses to start and says why", async () => {
  await using upstream = startTinyServer();
  await using gateway = await startGateway();
  using admin = createAdminClient(gateway);
  const token = await setUp(admin, upstream.url);
  const ports = ["--port", "0", "--admin-port", "0", "--ops-port", "0"];
  const second = Bun.spawnSync([executable, "serve", "--data-dir", gateway.dataDir, ...ports], {
    cwd: gateway.dataDir,
    env: {},
    timeout: 20_000,
  });
  expect(second.exitCode).toBe(1);
  const said = `${second.stdout}${second.stderr}`;
  expect(said).toContain("is in use by another process");
  expect(said).toContain(join(gateway.dataDir, "spool"));
  using agent = await openModern({ base: gateway.agents, token });
  expect((await agent.call("first-goes-on")).text).toBe("first-goes-on");
});

test("ST-16: a spool older than the database is found, kept aside and never written on", async () => {
  await using postgres = await startPostgres();
  await using upstream = startTinyServer();
  await using folder = temporaryFolder("rollback");
  const dataDir = join(folder.path, "data");
  const spool = join(dataDir, "spool");
  const copy = join(folder.path, "old-spool");
  const options = { dataDir, env: { DATABASE_URL: postgres.url } };
  let token = "";
  let oldLog = "";
  {
    await using gateway = await startGateway(options);
    using admin = createAdminClient(gateway);
    token = await setUp(admin, upstream.url);
    await callAndShip(gateway.agents, admin, token, "old");
  }
  cpSync(spool, copy, { recursive: true, preserveTimestamps: true });
  {
    await using gateway = await startGateway(options);
    using admin = createAdminClient(gateway);
    await callAndShip(gateway.agents, admin, token, "newer");
    oldLog = await logIdOf(admin);
  }
  rmSync(spool, { recursive: true });
  cpSync(copy, spool, { recursive: true, preserveTimestamps: true });

  await using gateway = await startGateway(options);
  using admin = createAdminClient(gateway);
  await callAndShip(gateway.agents, admin, token, "after");
  expect(gateway.stdout()).toContain("audit.rolled_back");
  expect(await logIdOf(admin)).not.toBe(oldLog);
  expect(existsSync(join(dataDir, `spool-${oldLog}`))).toBe(true);
  const [violation] = await allRecords(admin, { event: "integrity.violation" });
  expect(JSON.parse(violation?.envelope_json ?? "{}").facts).toMatchObject({
    kind: "rolled-back",
    log: oldLog,
  });
  const verified = await admin.call<{ logs: object[] }>("AuditService", "VerifyLog");
  expect(verified).toMatchObject({ ok: true });
  expect(verified.logs).toHaveLength(2);
});

async function setUp(admin: AdminClient, url: string): Promise<string> {
  await registerHttpServer(admin, "tiny", url);
  return registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
}

async function callAndShip(
  base: string,
  admin: AdminClient,
  token: string,
  name: string,
): Promise<void> {
  using agent = await openModern({ base, token });
  for (let call = 0; call < 10; call += 1) {
    expect((await agent.call(`${name}-${call}`)).text).toBe(`${name}-${call}`);
  }
  await untilDrained(admin);
}

async function logIdOf(admin: AdminClient): Promise<string> {
  const status = await admin.call<{ audit: { log_id: string } }>("SystemService", "GetStatus");
  return status.audit.log_id;
}
