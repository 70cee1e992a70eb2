/**
 * kill -9 of the executable under load, again and again on one data folder, and three logs compared: what agents were
 * told, what the server saw, what the audit holds. The kills fall while agents of all kinds call, while the spool
 * starts new segments, while retention deletes, and while the next process recovers. FAULT_CYCLES and FAULT_SEED make
 * it longer and repeatable.
 */
import { expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { agentKinds, type EchoAgent } from "../support/echo-agents.ts";
import {
  executable,
  type GatewayOptions,
  type GatewayProcess,
  startGateway,
} from "../support/gateway-process.ts";
import { writeOldRecords } from "../support/old-records.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { createRandom, faultCycles, faultSeed } from "../support/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import {
  compareLogs,
  drainedRecords,
  noContradictions,
  untilDrained,
} from "../support/three-logs.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const kinds = Object.keys(agentKinds);
const agentsOfEachKind = 3;
const oldRecords = 20_000;
/** Folders that are killed on side by side: while one process starts or a log is checked, the other's agents call. */
const lanes = 2;
/** Kills after which a folder's log is checked and the next folder begins: a longer log takes longer to compare. */
const killsAFolderMax = 50;
/** Of fewer kills all may fall before the first answer. */
const killsUnderLoadMin = 10;
const killedBySigkill = 128 + 9;

interface Killing {
  readonly cycles: number;
  readonly dataDir: string;
  readonly upstream: TinyServer;
  readonly seed: number;
  readonly config?: GatewayOptions["config"];
  /** Runs beside the load of each gateway. */
  readonly alongside?: (admin: AdminClient) => Promise<unknown>;
}

interface Killed extends Pick<Killing, "cycles" | "dataDir" | "upstream" | "seed"> {
  readonly acknowledged: readonly string[];
}

/** Runs and kills gateways on one folder. */
async function killAgainAndAgain(killing: Killing): Promise<Killed> {
  const { cycles, dataDir, upstream, seed, config = {}, alongside } = killing;
  const random = createRandom(seed);
  const acknowledged: string[] = [];
  const token = await setUp(dataDir, upstream.url);
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    // Every third start is itself killed, before or while it recovers.
    if (cycle % 3 === 2) await killWhileStarting(dataDir, random(120));
    await using gateway = await startGateway({ dataDir, config });
    const load = runLoad(gateway, token, `k${cycle}`, (text) => acknowledged.push(text));
    const beside = alongside === undefined ? undefined : runAlongside(gateway, alongside);
    // Every other kill falls among calls of all kinds that are answered, however slow the machine is.
    const isAnswered = (kind: string) =>
      acknowledged.some((text) => text.startsWith(`k${cycle}-${kind}-`));
    if (cycle % 2 === 1) await until("answers", () => kinds.every(isAnswered));
    await Bun.sleep(random(200));
    gateway.kill("SIGKILL");
    expect(await gateway.exited).toBe(killedBySigkill);
    await load;
    await beside;
  }
  return { cycles, dataDir, upstream, seed, acknowledged };
}

async function runAlongside(
  gateway: GatewayProcess,
  alongside: (admin: AdminClient) => Promise<unknown>,
): Promise<void> {
  using admin = createAdminClient(gateway);
  await alongside(admin).catch(() => {});
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

async function setUp(dataDir: string, url: string): Promise<string> {
  await using gateway = await startGateway({ dataDir });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", url);
  return await registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
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
async function expectSound(killed: Killed): Promise<void> {
  const { cycles, dataDir, upstream, seed, acknowledged } = killed;
  {
    await using gateway = await startGateway({ dataDir });
    using admin = createAdminClient(gateway);
    const records = await drainedRecords(admin);
    const closedByRecovery = records.filter((one) => one.status === "outcome_unknown").length;
    const figures = { cycles, seed, acknowledged: acknowledged.length, closedByRecovery };
    console.log(JSON.stringify({ ...figures, seen: upstream.texts.length, all: records.length }));
    expect(compareLogs({ acknowledged, seen: upstream.texts, records })).toEqual(noContradictions);
    expect(records.filter((one) => one.event === "integrity.violation")).toEqual([]);
    expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
  }
  const verify = Bun.spawnSync([executable, "audit", "verify", "--data-dir", dataDir]);
  expect(verify.exitCode, verify.stdout.toString()).toBe(0);
}

/** How many kills each folder gets; at least one folder for each kind of config, where there are as many kills. */
function splitCycles(cycles: number): readonly number[] {
  const folders = Math.max(Math.min(configs.length, cycles), Math.ceil(cycles / killsAFolderMax));
  return Array.from({ length: folders }, (_, number) => Math.floor((cycles + number) / folders));
}

/** Folders take turns: as the gateway comes, and with a spool that starts a new segment every few records. */
const configs: readonly GatewayOptions["config"][] = [
  {},
  { audit: { segment_bytes_max: 8 * 1024 } },
];

async function killOnOneFolder(cycles: number, number: number): Promise<void> {
  await using folder = temporaryFolder(`kill-${number}`);
  await using upstream = startTinyServer();
  const config = configs[number % configs.length];
  const seed = faultSeed + number;
  const killed = await killAgainAndAgain({ cycles, dataDir: folder.path, upstream, seed, config });
  await expectSound(killed);
  if (cycles < killsUnderLoadMin) return;
  expect(killed.acknowledged.length).toBeGreaterThan(cycles);
  for (const kind of kinds) {
    expect(killed.acknowledged.some((text) => text.includes(`-${kind}-`))).toBe(true);
  }
}

test("R-01 ST-11 ST-12 I-02 I-03: kills under load lose no acknowledged call", async () => {
  const folders = splitCycles(faultCycles(200)).map((cycles, number) => ({ cycles, number }));
  const running = Array.from({ length: lanes }, async () => {
    for (let next = folders.shift(); next !== undefined; next = folders.shift()) {
      await killOnOneFolder(next.cycles, next.number);
    }
  });
  // Both to their end, so that no gateway is left behind.
  const ends = await Promise.allSettled(running);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}, 7_200_000);

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
  const killing = { cycles, dataDir: folder.path, upstream, seed: faultSeed, alongside: process };
  const killed = await killAgainAndAgain(killing);
  {
    await using gateway = await startGateway(killed);
    using admin = createAdminClient(gateway);
    await untilDrained(admin);
    await process(admin);
    expect(await allRecords(admin, { event: "session.opened" })).toEqual([]);
  }
  await expectSound(killed);
});
