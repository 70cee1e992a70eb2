/**
 * No room for records: the spool's quota reached while the database is away, and the disk full for real. Calls are
 * refused before they are made, nobody is told anything that did not happen, and it all comes back by itself.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { type EchoAgent, openModern } from "../support/echo-agents.ts";
import { startGateway } from "../support/gateway-process.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { canMount, fillDisk, mountSmallDisk } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { compareLogs, drainedRecords, noContradictions } from "../support/three-logs.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const auditUnavailable = 50301;
const outcomeUnrecorded = 50302;
const callsMax = 5_000;

interface Tried {
  readonly acknowledged: string[];
  readonly refused: string[];
  /** Told that they were executed and that their outcome could not be recorded. */
  readonly executed: string[];
}

/** One call, noted by how it ended; true where it was answered. */
async function tryCall(agent: EchoAgent, tried: Tried, text: string): Promise<boolean> {
  const reply = await agent.call(text);
  const isAnswered = reply.text === text;
  if (isAnswered) tried.acknowledged.push(text);
  else if (reply.code === auditUnavailable) tried.refused.push(text);
  else {
    expect(reply.code, reply.raw).toBe(outcomeUnrecorded);
    tried.executed.push(text);
  }
  return isAnswered;
}

async function callUntilRefused(agent: EchoAgent, tried: Tried, name: string): Promise<void> {
  for (let call = 0; call < callsMax; call += 1) {
    if (!(await tryCall(agent, tried, `${name}-${call}`))) return;
  }
  throw new Error(`none of ${callsMax} calls was refused`);
}

/** Nobody was told of a call otherwise than it went. */
function expectNoLie({ refused, executed }: Tried, upstream: TinyServer): void {
  expect(refused.filter((text) => upstream.texts.includes(text))).toEqual([]);
  expect(executed.filter((text) => !upstream.texts.includes(text))).toEqual([]);
}

test("ST-08: at its quota the spool refuses before the call, and frees itself once the database is back", async () => {
  await using postgres = await startPostgres();
  await using upstream = startTinyServer();
  await using gateway = await startGateway({
    env: { DATABASE_URL: postgres.url },
    config: { audit: { spool_bytes_max: 256 * 1024 } },
  });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", upstream.url);
  const token = await registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
  using agent = await openModern({ base: gateway.agents, token });
  const tried: Tried = { acknowledged: [], refused: [], executed: [] };

  expect(await tryCall(agent, tried, "before")).toBe(true);
  await postgres.stop();
  await callUntilRefused(agent, tried, "fill");
  for (let call = 0; call < 5; call += 1) {
    expect(await tryCall(agent, tried, `full-${call}`)).toBe(false);
  }
  expect((await fetch(`${gateway.ops}/health/ready`)).status).toBe(503);
  expectNoLie(tried, upstream);

  // The room left is kept for outcomes: a call that was let through gets its answer.
  expect(tried.executed).toEqual([]);

  await postgres.restart();
  let attempt = 0;
  const again = () => tryCall(agent, tried, `again-${attempt++}`);
  await until("calls to be taken again", again, 30_000);
  for (let call = 0; call < 200; call += 1) await until("an answer", again);
  expectNoLie(tried, upstream);
  // Reading is recorded too, so it may be refused once more while the spool frees itself.
  const records = await until("the records", () => drainedRecords(admin).catch(() => undefined));
  const { acknowledged } = tried;
  expect(compareLogs({ acknowledged, seen: upstream.texts, records })).toEqual(noContradictions);
  const verify = () => admin.call("AuditService", "VerifyLog").catch(() => undefined);
  expect(await until("the verdict", verify)).toMatchObject({ ok: true });
});

test.skipIf(!canMount("ST-07, R-08"))(
  "ST-07 R-08: with the disk full calls are refused before they are made, and taken again once there is room",
  async () => {
    await using folder = temporaryFolder("small-disk");
    // Room for what a quick machine records meanwhile: database, its log, spool and reserve took 16 MiB whole.
    using _disk = mountSmallDisk(folder.path, "32m");
    await using upstream = startTinyServer();
    const dataDir = join(folder.path, "data");
    await using gateway = await startGateway({ dataDir });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
    using agent = await openModern({ base: gateway.agents, token });
    const tried: Tried = { acknowledged: [], refused: [], executed: [] };
    const filler = join(folder.path, "filler");
    let attempt = 0;
    const again = () => tryCall(agent, tried, `again-${attempt++}`);

    for (let round = 0; round < 3; round += 1) {
      // A full disk is over once the reserve was had again, which is tried twice a second.
      await until("a call", again, 20_000);
      fillDisk(filler);
      await callUntilRefused(agent, tried, `fill-${round}`);
      for (let call = 0; call < 5; call += 1) {
        expect(await tryCall(agent, tried, `full-${round}-${call}`)).toBe(false);
      }
      expectNoLie(tried, upstream);
      rmSync(filler);
      // Nobody calls: the gateway must find out by itself, or a balancer would never send it a call again.
      const isReady = async () => (await fetch(`${gateway.ops}/health/ready`)).status === 200;
      await until("readiness", isReady, 20_000);
    }
    await until("a call", again, 20_000);
    const { acknowledged } = tried;
    await until("the records the disk refused", async () => {
      const records = await drainedRecords(admin);
      return (
        compareLogs({ acknowledged, seen: upstream.texts, records }).intentsNeverClosed.length === 0
      );
    });
    const records = await drainedRecords(admin);
    expect(compareLogs({ acknowledged, seen: upstream.texts, records })).toEqual(noContradictions);
    expect(
      records.filter((one) => one.event === "storage.disk_full").length,
    ).toBeGreaterThanOrEqual(2 * 3);
    expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });

    // It can also be stopped with the disk full, and started once there is room.
    fillDisk(filler);
    await callUntilRefused(agent, tried, "last");
    gateway.kill("SIGTERM");
    expect(await gateway.exited).toBe(0);
    rmSync(filler);
    await using next = await startGateway({ dataDir });
    using nextAdmin = createAdminClient(next);
    await drainedRecords(nextAdmin);
    expect(await nextAdmin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
    expectNoLie(tried, upstream);
  },
);
