/**
 * A person is erased from a running gateway by the command line: the auditor finds nobody, the log verifies, and the
 * process's own memory holds the keys no more.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { hkdfSync } from "node:crypto";
import { createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { countInMemory } from "../support/process-memory.ts";
import { openFolderVault } from "../support/sealing.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(120_000);

const from = process.env.MCP_GATEWAY_TEST_FROM === "source" ? "source" : "executable";

test("K-12 PV-01 erased by the command line: gone for auditors, from the log and from memory", async () => {
  await using tiny = startTinyServer();
  await using gateway = await startGateway({ from });
  const admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", tiny.url);
  const call = async (token: string) => {
    const request = { method: "tools/call", params: { name: "echo", arguments: { text: "hi" } } };
    const answer = await modernCall({ base: gateway.agents, scope: "tiny", token, ...request });
    expect(answer.status).toBe(200);
  };
  const ann = await registerClient(admin, "ann");
  const bob = await registerClient(admin, "bob");
  for (let time = 0; time < 5; time += 1) await Promise.all([call(ann), call(bob)]);
  const [dek, pair] = await readKeys(gateway.dataDir, "client:ann");
  expect(countInMemory(gateway.pid, [dek, pair]).every((count) => count > 0)).toBe(true);
  const run = (...verb: readonly string[]) =>
    runGateway(["key", ...verb, "--admin", gateway.admin, "--data-dir", gateway.dataDir]);
  const target = ["--principal", "client:ann", "--reason", "asked for it"];
  const done = await run("destroy", ...target, "--sweep-now");
  expect([done.exitCode, done.stderr]).toEqual([0, ""]);
  await until("swept", async () => {
    const listed = await admin.call<{ sweeps_pending: number }>("KeyService", "ListKeys");
    return listed.sweeps_pending === 0;
  });
  const filter = (client: string) => ({ client, event: "call.outcome" });
  expect(await allRecords(admin, filter("ann"))).toEqual([]);
  expect(await allRecords(admin, filter("bob"))).toHaveLength(5);
  const verified = await admin.call<{ ok: boolean; logs: unknown }>("AuditService", "VerifyLog");
  expect(verified).toMatchObject({ ok: true });
  expect(countInMemory(gateway.pid, [dek, pair])).toEqual([0, 0]);
  // Who goes on calling has a new key.
  await call(ann);
});

/** The person's key and the pair's, as only this test may know them. */
async function readKeys(
  dataDir: string,
  principal: string,
): Promise<readonly [Uint8Array, Uint8Array]> {
  const vault = await openFolderVault(dataDir);
  const month = new Date().toISOString().slice(0, 7);
  const open = async (ids: readonly string[]) => {
    const [stored] = await vault.store.byIds(ids);
    if (stored === undefined) throw new Error("there is no such key");
    return await vault.ring.open(stored);
  };
  const dek = await open(await vault.keysOf({ tenant: "", principal }));
  const ofClass = await open(await vault.keysOf({ tenant: "", dataClass: "UNCLASSIFIED", month }));
  const info = "mcp-gateway audit details v1";
  const pair = hkdfSync("sha256", Buffer.concat([dek, ofClass]), Buffer.alloc(0), info, 32);
  await vault.close();
  return [Uint8Array.from(dek), new Uint8Array(pair)];
}
