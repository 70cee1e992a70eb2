/**
 * kill -9 under load, again and again on one data folder, and three logs compared: what agents were told, what the
 * server saw, what the audit holds. The kills fall while agents of all kinds call, while the spool starts new
 * segments, while retention deletes, and while the next process recovers. FAULT_CYCLES and FAULT_SEED make it
 * longer and repeatable.
 */
import { expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { agentKinds, type EchoAgent } from "../support/echo-agents.ts";
import {
  executable,
  type GatewayOptions,
  type GatewayProcess,
  startGateway,
} from "../support/gateway-process.ts";
import { writeOldRecords } from "../support/old-records.ts";
import {
  allRecords,
  generousLimits,
  registerClient,
  registerHttpServer,
} from "../support/operator.ts";
import { createRandom, faultCycles, faultSeed } from "../support/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import {
  compareLogs,
  drainedRecords,
  noContradictions,
  untilDrained,
} from "../support/three-logs.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const agentsOfEachKind = 3;
const oldRecords = 20_000;

interface Killed {
  readonly acknowledged: readonly string[];
  readonly upstream: TinyServer;
}

/** Runs and kills gateways on one folder; `alongside` runs beside the load of each. */
async function killAgainAndAgain(request: {
  readonly cycles: number;
  readonly dataDir: string;
  readonly upstream: TinyServer;
  readonly config?: GatewayOptions["config"];
  readonly alongside?: (admin: AdminClient) => Promise<unknown>;
}): Promise<Killed> {
  const { cycles, dataDir, upstream, config = {}, alongside } = request;
  const random = createRandom();
  const acknowledged: string[] = [];
  let token = "";
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    // Every third start is itself killed, before or while it recovers.
    if (cycle % 3 === 2) await killWhileStarting(dataDir, random(120));
    await using gateway = await startGateway({ dataDir, config });
    using admin = createAdminClient(gateway);
    if (cycle === 0) token = await setUp(admin, upstream.url);
    const load = runLoad(gateway, token, `k${cycle}`, (text) => acknowledged.push(text));
    const beside = alongside?.(admin).catch(() => {});
    await Bun.sleep(10 + random(300));
    gateway.kill("SIGKILL");
    await gateway.exited;
    await load;
    await beside;
  }
  return { acknowledged, upstream };
}

async function killWhileStarting(dataDir: string, afterMs: number): Promise<void> {
  const ports = ["--port", "0", "--admin-port", "0", "--ops-port", "0"];
  const child = Bun.spawn([executable, "serve", "--data-dir", dataDir, ...ports], {
    cwd: dataDir,
    env: {},
    stdio: ["ignore", "ignore", "ignore"],
  });
  await Bun.sleep(afterMs);
  child.kill("SIGKILL");
  await child.exited;
}

async function setUp(admin: AdminClient, url: string): Promise<string> {
  await registerHttpServer(admin, "tiny", url);
  return registerClient(admin, "loader", { allowed_tools: ["tiny__*"], limits: generousLimits });
}

/** Agents of every kind call until the gateway is gone. */
async function runLoad(
  gateway: GatewayProcess,
  token: string,
  name: string,
  answered: (text: string) => void,
): Promise<void> {
  const running = Object.entries(agentKinds).flatMap(([kind, open]) =>
    Array.from({ length: agentsOfEachKind }, async (_, number) => {
      using agent = await open({ base: gateway.agents, token });
      await callForEver(agent, `${name}-${kind}-${number}`, answered);
    }),
  );
  await Promise.allSettled(running);
}

async function callForEver(
  agent: EchoAgent,
  name: string,
  answered: (text: string) => void,
): Promise<never> {
  for (let call = 0; ; call += 1) {
    const text = `${name}-${call}`;
    const reply = await agent.call(text);
    if (reply.text === text) answered(text);
  }
}

/** What must hold after all kills, in the database and, offline, in the spool. */
async function expectSound(dataDir: string, { acknowledged, upstream }: Killed): Promise<void> {
  {
    await using gateway = await startGateway({ dataDir });
    using admin = createAdminClient(gateway);
    const records = await drainedRecords(admin);
    const closedByRecovery = records.filter((one) => one.status === "outcome_unknown").length;
    const figures = { seed: faultSeed, acknowledged: acknowledged.length, closedByRecovery };
    console.log(JSON.stringify({ ...figures, seen: upstream.texts.length, all: records.length }));
    expect(compareLogs({ acknowledged, seen: upstream.texts, records })).toEqual(noContradictions);
    for (const kind of Object.keys(agentKinds)) {
      expect(acknowledged.some((text) => text.includes(`-${kind}-`))).toBe(true);
    }
    expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
  }
  const verify = Bun.spawnSync([executable, "audit", "verify", "--data-dir", dataDir]);
  expect(verify.exitCode, verify.stdout.toString()).toBe(0);
}

test("ST-11 R-01 I-02 I-03: kills under load lose no acknowledged call", async () => {
  // With the 180 numbered points of crash-points.test.ts these are the 200 of CI.
  const cycles = faultCycles(20);
  await using folder = temporaryFolder("kill");
  await using upstream = startTinyServer();
  const killed = await killAgainAndAgain({ cycles, dataDir: folder.path, upstream });
  expect(killed.acknowledged.length).toBeGreaterThan(cycles);
  await expectSound(folder.path, killed);
});

test("ST-12: kills while the spool starts new segments lose nothing", async () => {
  const cycles = faultCycles(5);
  await using folder = temporaryFolder("kill-roll");
  await using upstream = startTinyServer();
  const config = { audit: { segment_bytes_max: 8 * 1024 } };
  const killed = await killAgainAndAgain({ cycles, dataDir: folder.path, upstream, config });
  await expectSound(folder.path, killed);
});

test("ST-12: kills while retention deletes leave every deletion covered by its order", async () => {
  const cycles = faultCycles(5);
  await using folder = temporaryFolder("kill-retention");
  await using upstream = startTinyServer();
  await writeOldRecords(folder.path, oldRecords);
  const rule = { id: "old", retention_days: 1, enabled: true };
  const deletion = {
    policy_type: "RETENTION_POLICY_TYPE_TIME_BASED",
    action: "RETENTION_ACTION_DELETE",
  };
  const process = async (admin: AdminClient) => {
    const create = { rule: { ...rule, ...deletion } };
    await admin.call("RetentionService", "CreateRule", create).catch(() => {});
    return admin.call("RetentionService", "ProcessRetention");
  };
  const dataDir = folder.path;
  const killed = await killAgainAndAgain({ cycles, dataDir, upstream, alongside: process });
  {
    await using gateway = await startGateway({ dataDir });
    using admin = createAdminClient(gateway);
    await untilDrained(admin);
    await process(admin);
    expect(await allRecords(admin, { event: "session.opened" })).toEqual([]);
  }
  await expectSound(dataDir, killed);
});
