/**
 * The executable with few file descriptors, all of which strangers' connections take: who is connected is served and
 * recorded, who is not waits, and when descriptors are free again everything is made up for (ST-20).
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(60_000);

const limit = 160;

interface Status {
  readonly audit: { readonly synced_seq: number; readonly shipped_seq: number };
}

test("ST-20 with no file descriptor left open connections are served and recorded, and the rest is made up for", async () => {
  await using tiny = startTinyServer();
  const prefix = ["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh"];
  await using gateway = await startGateway({ from: "executable", prefix });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", tiny.url);
  const token = await registerClient(admin, "ann", { allowed_tools: ["tiny__echo"] });
  const call = async () => {
    const request = { method: "tools/call", params: { name: "echo", arguments: { text: "hi" } } };
    const answer = await modernCall({ base: gateway.agents, scope: "tiny", token, ...request });
    return answer.status;
  };
  const status = async () => (await admin.call<Status>("SystemService", "GetStatus")).audit;
  expect(await call()).toBe(200);
  const strangers = await takeAll(gateway.pid, Number(new URL(gateway.agents).port));
  await until("it is noticed", () => gateway.stdout().includes('"event":"overload.fd"'));
  const before = await status();
  // Over the connection that is open: agent, gateway and server each kept theirs.
  for (let time = 0; time < 5; time += 1) expect(await call()).toBe(200);
  expect((await status()).synced_seq).toBeGreaterThanOrEqual(before.synced_seq + 10);
  for (const stranger of strangers) stranger.destroy();
  await until("descriptors are free", () => descriptorsOf(gateway.pid) < limit);
  expect(await call()).toBe(200);
  // Said once each, however often a descriptor was free for a moment.
  const said = async () =>
    (await allRecords(admin, { event: "overload.fd" })).map(
      ({ envelope_json }) => JSON.parse(envelope_json).facts.state,
    );
  await until("both ends of it on record", async () => (await said()).length >= 2, 30_000);
  expect(await said()).toEqual(["none", "free"]);
  const { synced_seq } = await status();
  await until("the copy has all of it", async () => (await status()).shipped_seq >= synced_seq);
  const verified = await admin.call<{ ok: boolean }>("AuditService", "VerifyLog");
  expect(verified.ok).toBe(true);
});

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** Connections that say nothing, more than the process has descriptors for. */
async function takeAll(pid: number, port: number): Promise<readonly Socket[]> {
  const sockets = Array.from({ length: limit + 20 }, () => {
    // Those that are not accepted may be reset at the end.
    return connect(port, "127.0.0.1").on("error", () => {});
  });
  await until("no descriptor is left", () => descriptorsOf(pid) >= limit);
  return sockets;
}
