/**
 * A disk that fails and a disk that dawdles, by system calls that strace breaks in the running executable: calls are
 * refused or said to be unrecorded, never answered as if nothing were, and the log is whole afterwards.
 */
import { expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { openModern } from "../support/echo-agents.ts";
import { executable, type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { faultCycles } from "../support/random.ts";
import { attachStrace, straceProblem } from "../support/strace.ts";
import { compareLogs, drainedRecords, noContradictions } from "../support/three-logs.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const auditUnavailable = 50301;
const outcomeUnrecorded = 50302;

const problem = straceProblem();
if (problem !== undefined) console.warn(`SKIPPED: ${problem} (ST-09, ST-10, R-09)`);

interface Told {
  readonly acknowledged: string[];
  readonly refused: string[];
  readonly unrecorded: string[];
}

for (const which of ["when=1", "when=2", "when=1+3"]) {
  test.skipIf(problem !== undefined)(
    `ST-09 R-09: fdatasync failing (${which} of each thread) is never called durable`,
    async () => {
      await using upstream = startTinyServer();
      // The reserve's own syncs would take the injected error.
      await using gateway = await startGateway({ config: { audit: { reserve_bytes_max: 1 } } });
      using admin = createAdminClient(gateway);
      const token = await setUp(admin, upstream);
      using agent = await openModern({ base: gateway.agents, token });
      const told: Told = { acknowledged: [], refused: [], unrecorded: [] };
      expect((await agent.call("before")).text).toBe("before");
      {
        const inject = `inject=fdatasync:error=EIO:${which}`;
        await using _broken = await attachStrace(gateway.pid, [
          "-e",
          "trace=fdatasync",
          "-e",
          inject,
        ]);
        await Promise.all(
          Array.from({ length: 3 }, async (_, number) => {
            for (let call = 0; call < faultCycles(12); call += 1) {
              const text = `eio-${number}-${call}`;
              const reply = await agent.call(text);
              if (reply.text === text) told.acknowledged.push(text);
              else if (reply.code === auditUnavailable) told.refused.push(text);
              else {
                expect(reply.code, reply.raw).toBe(outcomeUnrecorded);
                told.unrecorded.push(text);
              }
            }
          }),
        );
      }
      expect(told.refused.length + told.unrecorded.length).toBeGreaterThan(0);
      await until("calls to be taken", async () => (await agent.call("after")).text === "after");
      expect(gateway.stdout()).toContain("audit.unsynced");
      await until("the record of it", async () =>
        (await drainedRecords(admin)).some((one) => one.event === "storage.fsync_failed"),
      );
      await expectSound(gateway, admin, upstream, told);
    },
  );
}

/** Longer than the syncs of a busy disk take: only the one that is broken here is to be late. */
const deadlineMs = 5_000;

for (const delayMs of [6_000, 10_000]) {
  test.skipIf(problem !== undefined)(
    `ST-10: an fdatasync of ${delayMs} ms refuses class A at its deadline and holds up no list`,
    async () => {
      await using upstream = startTinyServer();
      const audit = { deadline_ms: deadlineMs, reserve_bytes_max: 1 };
      await using gateway = await startGateway({ config: { audit } });
      using admin = createAdminClient(gateway);
      const token = await setUp(admin, upstream);
      using agent = await openModern({ base: gateway.agents, token });
      await until("a call", async () => (await agent.call("before")).text === "before");
      const refused: string[] = [];
      {
        const slow = `inject=fdatasync:delay_enter=${delayMs * 1000}:when=1`;
        const options = ["-e", "trace=fdatasync", "-e", slow];
        await using _slowed = await attachStrace(gateway.pid, options);
        const call = agent.call("slow");
        const list = await modernCall({
          base: gateway.agents,
          scope: "tiny",
          token,
          method: "tools/list",
        });
        expect(list.result, list.text).toBeDefined();
        const reply = await call;
        expect(reply.code, reply.raw).toBe(auditUnavailable);
        refused.push("slow");
        await until("the end of the sync", () => gateway.stdout().includes("storage.slow"));
      }
      const again = async () => (await agent.call("again")).text === "again";
      await until("calls to be taken", again, 30_000);
      await until("the record of it", async () =>
        (await drainedRecords(admin)).some((one) => one.event === "storage.slow"),
      );
      const told = { acknowledged: ["again"], refused, unrecorded: [] };
      await expectSound(gateway, admin, upstream, told);
    },
  );
}

async function setUp(admin: AdminClient, upstream: TinyServer): Promise<string> {
  await registerHttpServer(admin, "tiny", upstream.url);
  return registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
}

/** Nobody was lied to, and the log is whole in the database and in the spool. */
async function expectSound(
  gateway: GatewayProcess,
  admin: AdminClient,
  upstream: TinyServer,
  { acknowledged, refused, unrecorded }: Told,
): Promise<void> {
  expect(refused.filter((text) => upstream.texts.includes(text))).toEqual([]);
  expect(unrecorded.filter((text) => !upstream.texts.includes(text))).toEqual([]);
  const compared = async () =>
    compareLogs({ acknowledged, seen: upstream.texts, records: await drainedRecords(admin) });
  await until(
    "every intent closed",
    async () => (await compared()).intentsNeverClosed.length === 0,
  );
  expect(await compared()).toEqual(noContradictions);
  expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
  gateway.kill("SIGTERM");
  expect(await gateway.exited).toBe(0);
  const verify = Bun.spawnSync([executable, "audit", "verify", "--data-dir", gateway.dataDir]);
  expect(verify.exitCode, verify.stdout.toString()).toBe(0);
}
