/**
 * A person is erased from a running gateway by the command line: the auditor finds nobody, the process's own memory
 * holds the key no more, and the log is as sound as before, for the gateway's verifier and for the independent one.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { callEcho, erase } from "../support/erasing.ts";
import { startGateway } from "../support/gateway-process.ts";
import { startIndependentVerifier } from "../support/independent-verifier.ts";
import { writeOldRecords } from "../support/old-records.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { countInMemory } from "../support/process-memory.ts";
import { openFolderVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(120_000);

const from = process.env.MCP_GATEWAY_TEST_FROM === "source" ? "source" : "executable";

test("K-12 PV-01 erased by the command line: gone for auditors and from memory", async () => {
  await using tiny = startTinyServer();
  await using gateway = await startGateway({ from });
  const admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", tiny.url);
  const tools = { allowed_tools: ["tiny__echo"] };
  const ann = await registerClient(admin, "ann", tools);
  const bob = await registerClient(admin, "bob", tools);
  for (let time = 0; time < 5; time += 1)
    await Promise.all([callEcho(gateway, ann), callEcho(gateway, bob)]);
  const dek = await readKey(gateway.dataDir, "client:ann");
  expect(countInMemory(gateway.pid, [dek])[0]).toBeGreaterThan(0);
  await erase(gateway, admin, "client:ann");
  const filter = (client: string) => ({ client, event: "call.outcome" });
  expect(await allRecords(admin, filter("ann"))).toEqual([]);
  expect(await allRecords(admin, filter("bob"))).toHaveLength(5);
  expect(countInMemory(gateway.pid, [dek])).toEqual([0]);
  // Each of the calls left an intent and an outcome.
  const found = await admin.call<Verification>("AuditService", "VerifyLog");
  expect(found).toMatchObject({ ok: true, logs: [{ kind: "", problem: "" }] });
  expect(found.logs[0]?.verdicts).toMatchObject({ ok_shredded: 10, ok_sealed: 0, ok_pruned: 0 });
  // Who goes on calling has a new key.
  await callEcho(gateway, ann);
});

test("R-11 K-14 K-12 after a retention deletion and an erasure all copies are sound, for both verifiers", async () => {
  await using folder = temporaryFolder("erasure");
  const dataDir = folder.path;
  await writeOldRecords(dataDir, 5);
  await using tiny = startTinyServer();
  await using gateway = await startGateway({ from, dataDir });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", tiny.url);
  const tools = { allowed_tools: ["tiny__echo"] };
  const ann = await registerClient(admin, "ann", tools);
  const bob = await registerClient(admin, "bob", tools);
  for (let time = 0; time < 3; time += 1) {
    await Promise.all([callEcho(gateway, ann), callEcho(gateway, bob)]);
  }
  await prune(admin, 5);
  await erase(gateway, admin, "client:ann");
  // Whose records retention had deleted before: only the spool still has something of them.
  await erase(gateway, admin, "old");
  const wanted = { ok_shredded: 6, ok_sealed: 0, ok_pruned: 5 };
  const online = await admin.call<Verification>("AuditService", "VerifyLog");
  expect(online).toMatchObject({ ok: true, logs: [{ problem: "", verdicts: wanted }] });
  const exported = await exportAll(admin, dataDir);
  const { stdout: key } = await runGateway(["audit", "key", "--data-dir", dataDir]);
  gateway.kill("SIGTERM");
  await gateway[Symbol.asyncDispose]();

  const ours = async (...args: readonly string[]) => {
    const { stdout } = await runGateway([
      "audit",
      "verify",
      ...args,
      "--key",
      key.trim(),
      "--json",
    ]);
    const { ok, violation, verdicts } = JSON.parse(stdout);
    return { ok, violation, shredded: verdicts.okShredded, pruned: verdicts.okPruned };
  };
  using independent = startIndependentVerifier();
  const theirs = async (...args: readonly string[]) => {
    const { ok, violation, logs } = await independent.verify(["--key", key.trim(), ...args]);
    const counts = logs?.[0]?.counts;
    return { ok, violation, shredded: counts?.["ok-shredded"], pruned: counts?.["ok-pruned"] };
  };
  const sound = { ok: true, violation: undefined, shredded: 6 };
  // The rows of a copy are emptied by retention; a segment goes whole, once all in it is shipped and old.
  expect(await ours("--data-dir", dataDir, "--database")).toEqual({ ...sound, pruned: 5 });
  expect(await ours("--export", exported)).toEqual({ ...sound, pruned: 5 });
  expect(await theirs("--export", exported)).toEqual({ ...sound, pruned: 5 });
  const inSpool = { ...sound, shredded: 11, pruned: 0 };
  expect(await ours("--data-dir", dataDir)).toEqual(inSpool);
  expect(await theirs(join(dataDir, "spool"))).toEqual(inSpool);
});

interface Verification {
  readonly ok: boolean;
  readonly logs: readonly { readonly verdicts: Readonly<Record<string, number>> }[];
}

/** Deletes what is older than a week, which is so many records. */
async function prune(admin: AdminClient, count: number): Promise<void> {
  const kind = { policy_type: "RETENTION_POLICY_TYPE_TIME_BASED", enabled: true };
  const rule = { ...kind, id: "week", action: "RETENTION_ACTION_DELETE", retention_days: 7 };
  await admin.call("RetentionService", "CreateRule", { rule });
  let deleted = 0;
  await until("the old records deleted", async () => {
    const ran = await admin.call<{ deleted: number }>("RetentionService", "ProcessRetention");
    deleted += Number(ran.deleted);
    return deleted >= count;
  });
  expect(deleted).toBe(count);
}

async function exportAll(admin: AdminClient, dir: string): Promise<string> {
  const parts = admin.stream<{ chunk?: Buffer }>("AuditService", "ExportRecords", {
    format: "EXPORT_FORMAT_JSON_LINES",
    include_pruned: true,
  });
  const chunks: Buffer[] = [];
  for await (const { chunk } of parts) if (chunk !== undefined) chunks.push(chunk);
  const path = join(dir, "export.jsonl");
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

/** The person's key, as only this test may know it. */
async function readKey(dataDir: string, principal: string): Promise<Uint8Array> {
  const vault = await openFolderVault(dataDir);
  const [stored] = await vault.store.byIds(await vault.keysOf({ tenant: "", principal }));
  if (stored === undefined) throw new Error("there is no such key");
  const key = Uint8Array.from(await vault.ring.open(stored));
  await vault.close();
  return key;
}
