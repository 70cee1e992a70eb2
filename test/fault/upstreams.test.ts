/**
 * Servers that die or fall silent under the gateway: the agent is told honestly, the server comes back or is left
 * alone, and no other server's callers notice.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { openModern } from "../support/echo-agents.ts";
import { repository, startGateway } from "../support/gateway-process.ts";
import { type RecordView, registerClient, registerHttpServer } from "../support/operator.ts";
import { faultCycles } from "../support/random.ts";
import { drainedRecords } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

/** A server that is killed again and again is started again ever later, so there are never many. */
const rounds = Math.min(faultCycles(2), 6);
const upstreamUnreachable = 50202;
const upstreamTimeout = 50401;
/** Longer than a slow machine takes for a hundred calls, each of them synced to its disk twice. */
const stuckMs = 20_000;

/** A stdio server with the tools of `fake-servers/behaviour.ts`. */
async function registerStdioServer(admin: AdminClient, more: object = {}): Promise<void> {
  const script = join(repository, "test/support/fake-servers/stdio-main.ts");
  await admin.call("ServerService", "RegisterServer", {
    server: {
      name: "child",
      enabled: true,
      stdio: { command: process.execPath, args: [script, "v1"] },
      ...more,
    },
  });
}

function register(admin: AdminClient, ...servers: readonly string[]): Promise<string> {
  const allowed_tools = servers.map((server) => `${server}__*`);
  return registerClient(admin, "loader", { allowed_tools });
}

/** Outcomes of the calls that were meant to fail; what only found out whether the server is up may have failed too. */
async function recordsOfWait(admin: AdminClient): Promise<readonly RecordView[]> {
  const records = await drainedRecords(admin);
  return records.filter((one) => one.event === "call.outcome" && one.tool === "wait");
}

function childrenOf(pid: number): readonly number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return list.split(" ").filter(Boolean).map(Number);
}

test("UP-14: a stdio server killed in the middle of a call is an honest error, and is started again", async () => {
  await using gateway = await startGateway();
  using admin = createAdminClient(gateway);
  await registerStdioServer(admin);
  const token = await register(admin, "child");
  using agent = await openModern({ base: gateway.agents, token, scope: "child" });
  for (let round = 0; round < rounds; round += 1) {
    const works = async () => (await agent.call(`works-${round}`)).text === `works-${round}`;
    await until("the server to answer", works, 30_000);
    const waiting = agent.call(`killed-${round}`, "wait");
    const reached = async () => (await agent.call("", "seen")).text?.includes("call:wait");
    await until("the call to reach the server", reached);
    for (const pid of childrenOf(gateway.pid)) process.kill(pid, "SIGKILL");
    const reply = await waiting;
    expect(reply.code, reply.raw).toBe(upstreamUnreachable);
  }
  const calls = await recordsOfWait(admin);
  expect(calls.map((one) => one.status)).toEqual(new Array(rounds).fill("failed"));
  expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
});

test("UP-16: a server that never answers is a timeout, and is told that the call is off", async () => {
  await using gateway = await startGateway();
  using admin = createAdminClient(gateway);
  await registerStdioServer(admin, { call_timeout_ms: 500 });
  const token = await register(admin, "child");
  using agent = await openModern({ base: gateway.agents, token, scope: "child" });
  const works = async () => (await agent.call("works")).text === "works";
  await until("the server to answer", works, 30_000);
  const reply = await agent.call("silent", "wait");
  expect(reply.code, reply.raw).toBe(upstreamTimeout);
  const cancelled = async () => (await agent.call("", "seen")).text?.includes("cancelled");
  await until("the cancellation to reach the server", cancelled);
  const calls = await recordsOfWait(admin);
  expect(calls.map((one) => one.status)).toEqual(["timeout"]);
});

test("UP-16 R-24: a half-dead server holds up nobody who calls another", async () => {
  const never = new Promise<Response>(() => {});
  await using tiny = startTinyServer();
  const halfDead = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: () => never,
  });
  try {
    await using gateway = await startGateway();
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", tiny.url);
    const url = `http://127.0.0.1:${halfDead.port}/mcp`;
    await registerHttpServer(admin, "dead", url, {
      call_timeout_ms: stuckMs,
      connect_timeout_ms: stuckMs,
    });
    const token = await register(admin, "tiny", "dead");
    using healthy = await openModern({ base: gateway.agents, token });
    using stuck = await openModern({ base: gateway.agents, token, scope: "dead" });
    const ended: string[] = [];
    const stuckCalls = Array.from({ length: 50 }, async (_, call) => {
      const reply = await stuck.call(`stuck-${call}`);
      ended.push("stuck");
      return reply.code;
    });
    for (let call = 0; call < 100; call += 1) {
      expect((await healthy.call(`healthy-${call}`)).text).toBe(`healthy-${call}`);
    }
    // All hundred were answered while every one of the fifty was still waiting.
    expect(ended).toEqual([]);
    for (const code of await Promise.all(stuckCalls)) {
      expect([upstreamTimeout, upstreamUnreachable, 50305]).toContain(code ?? 0);
    }
  } finally {
    await halfDead.stop(true);
  }
});
