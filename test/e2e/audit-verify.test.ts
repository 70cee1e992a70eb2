/**
 * A log as the executable leaves it, over several lives one of which ended by kill -9, verified by both programs with
 * nothing but the node's key: its spool, its database, exports of it, and one record's proof.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { startIndependentVerifier } from "../support/independent-verifier.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder("audit-verify");
const dataDir = folder.path;
const independent = startIndependentVerifier();
let gateway: GatewayProcess;
let key = "";

/** Leaves some records. */
async function change(running: GatewayProcess): Promise<void> {
  using admin = createAdminClient(running);
  for (let count = 0; count < 4; count += 1) await admin.call("ServerService", "ListServers");
}

async function exportTo(name: string, request: object): Promise<string> {
  using admin = createAdminClient(gateway);
  const chunks: Buffer[] = [];
  const parts = admin.stream<{ chunk?: Buffer }>("AuditService", "ExportRecords", {
    format: "EXPORT_FORMAT_JSON_LINES",
    ...request,
  });
  for await (const { chunk } of parts) if (chunk !== undefined) chunks.push(chunk);
  const path = join(dataDir, name);
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

async function verifyOurs(...args: string[]) {
  const { exitCode, stdout } = await runGateway([
    "audit",
    "verify",
    ...args,
    "--key",
    key,
    "--json",
  ]);
  return { exitCode, report: JSON.parse(stdout) };
}

beforeAll(async () => {
  {
    await using first = await startGateway({ dataDir });
    await change(first);
  }
  const second = await startGateway({ dataDir });
  await change(second);
  second.kill("SIGKILL");
  await second[Symbol.asyncDispose]();
  gateway = await startGateway({ dataDir });
  await change(gateway);
  key = (await runGateway(["audit", "key", "--data-dir", dataDir])).stdout.trim();
}, 120_000);

afterAll(async () => {
  independent[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

test("VerifyLog holds the copy against the latest checkpoint", async () => {
  using admin = createAdminClient(gateway);
  const found = await admin.call<{ logs: { covered: number }[] }>("AuditService", "VerifyLog");
  expect(found).toMatchObject({ ok: true, logs: [{ kind: "", problem: "" }] });
  expect(found.logs[0]?.covered).toBeGreaterThanOrEqual(4);
});

test("a whole export is proved by its checkpoint, for both", async () => {
  const path = await exportTo("whole.jsonl", { include_pruned: true });
  const theirs = await independent.verify(["--key", key, "--export", path]);
  expect(theirs).toMatchObject({ ok: true });
  expect(theirs.logs?.[0]?.covered).toBeGreaterThanOrEqual(4);
  expect(await verifyOurs("--export", path)).toMatchObject({ exitCode: 0, report: { ok: true } });
});

test("chosen records carry a proof each, for both", async () => {
  const path = await exportTo("chosen.jsonl", {
    filter: { event: "lifecycle.started" },
    proofs: true,
  });
  const theirs = await independent.verify(["--key", key, "--export", path]);
  expect(theirs).toMatchObject({ ok: true, logs: [{ records: 3, covered: 3 }] });
  expect(await verifyOurs("--export", path)).toMatchObject({ report: { ok: true, covered: 3 } });
});

test("K-17 a receipt and its proof are enough for a stranger", async () => {
  using admin = createAdminClient(gateway);
  const { records } = await admin.call<{
    records: { log_id: string; seq: number; leaf: string }[];
  }>("AuditService", "QueryRecords", { page_size: 1 });
  const { log_id, seq, leaf } = records[0] ?? { log_id: "", seq: 0, leaf: "" };
  const proof = await until("a proof", () =>
    admin
      .call<{ proof: string }>("AuditService", "GetProof", { log_id, seq })
      .catch(() => undefined),
  );
  const receiptPath = join(dataDir, "receipt.json");
  const proofPath = join(dataDir, "record.tlog-proof");
  writeFileSync(receiptPath, JSON.stringify({ log: log_id, seq: Number(seq), leaf }));
  writeFileSync(proofPath, proof.proof);
  const args = ["--key", key, "--receipt", receiptPath, "--proof", proofPath];
  expect(await independent.verify(args)).toMatchObject({ ok: true });
});

test("ST-11 the spool and the database of a stopped gateway are sound, for both", async () => {
  gateway.kill("SIGTERM");
  await gateway[Symbol.asyncDispose]();
  const theirs = await independent.verify(["--key", key, join(dataDir, "spool")]);
  expect(theirs).toMatchObject({ ok: true });
  const spool = await verifyOurs("--data-dir", dataDir);
  expect(spool).toMatchObject({ exitCode: 0, report: { ok: true } });
  expect(spool.report.verdicts.okSealed).toBe(0);
  expect(spool.report.covered).toBe(theirs.logs?.[0]?.covered);
  const database = await verifyOurs("--data-dir", dataDir, "--database");
  expect(database).toMatchObject({ exitCode: 0, report: { ok: true } });
});
