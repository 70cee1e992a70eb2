/**
 * kill -9 under load, again and again on one data folder, and three logs compared: what clients were told, what the
 * server saw, what the audit holds. FAULT_CYCLES and FAULT_SEED make it longer and repeatable.
 */
import { expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import {
  allRecords,
  generousLimits,
  registerClient,
  registerHttpServer,
} from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const cycles = Number(process.env.FAULT_CYCLES ?? 8);
const agents = 8;

/** A small seeded generator, so that a failing run can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed % 2_147_483_647 || 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

test(`ST-11 R-01: ${cycles} kills under load lose no acknowledged call`, async () => {
  const random = createRandom(Number(process.env.FAULT_SEED ?? 20261121));
  await using folder = temporaryFolder("kill");
  await using upstream = startTinyServer();
  const acknowledged: string[] = [];
  let token = "";

  for (let cycle = 0; cycle < cycles; cycle += 1) {
    await using gateway = await startGateway({ dataDir: folder.path });
    if (cycle === 0) token = await setUp(gateway, upstream.url);
    let isRunning = true;
    const load = Array.from({ length: agents }, async (_, agent) => {
      for (let call = 0; isRunning; call += 1) {
        const id = `k-${cycle}-${agent}-${call}`;
        if (await wasAnswered(gateway.agents, token, id)) acknowledged.push(id);
      }
    });
    await Bun.sleep(20 + random(300));
    gateway.kill("SIGKILL");
    isRunning = false;
    await gateway.exited;
    await Promise.all(load);
  }

  await using gateway = await startGateway({ dataDir: folder.path });
  using admin = createAdminClient(gateway);
  await drained(admin);
  const records = await allRecords(admin);
  const intents = records.filter((record) => record.event === "call.intent");
  const outcomes = records.filter((record) => record.event === "call.outcome");
  const succeeded = new Set(
    outcomes.filter((one) => one.status === "success").map((one) => one.correlation_id),
  );
  const intended = new Set(intents.map((one) => one.correlation_id));
  const closed = new Set(outcomes.map((one) => JSON.parse(one.envelope_json).intent));

  expect(acknowledged.length).toBeGreaterThan(cycles);
  expect(acknowledged.filter((id) => !succeeded.has(id))).toEqual([]);
  expect(upstream.seen.filter((id) => !intended.has(id))).toEqual([]);
  expect(intents.filter((one) => !closed.has(one.seq))).toEqual([]);
  expect(records.map((record) => record.seq)).toEqual(
    records.map((_, index) => index + (records[0]?.seq ?? 0)),
  );
  expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
});

async function setUp(gateway: { admin: string; adminToken: string }, url: string): Promise<string> {
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", url);
  return registerClient(admin, "loader", { allowed_tools: ["tiny__*"], limits: generousLimits });
}

async function wasAnswered(base: string, token: string, id: string): Promise<boolean> {
  try {
    const answer = await modernCall({
      base,
      scope: "tiny",
      token,
      method: "tools/call",
      params: { name: "echo", arguments: { text: id } },
      headers: { "X-Request-ID": id },
    });
    return answer.result !== undefined;
  } catch {
    return false;
  }
}

/** Waits until the database copy holds all that is synced. */
async function drained(admin: ReturnType<typeof createAdminClient>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const status = await admin.call<{ audit?: { synced_seq: number; shipped_seq: number } }>(
      "SystemService",
      "GetStatus",
    );
    if (status.audit !== undefined && status.audit.shipped_seq >= status.audit.synced_seq) return;
    await Bun.sleep(50);
  }
  throw new Error("the backlog did not drain");
}
