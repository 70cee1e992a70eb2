/**
 * two nodes share one PostgreSQL, and either proves the other's records from what the database remembers, or says
 * which node to ask.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import type { Caller } from "../../src/admin/caller.ts";
import { createAuditEvidence } from "../../src/admin/services/audit-evidence.ts";
import { verifyBootCertificate } from "../../src/audit/evidence/boot-certificate.ts";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { renderVerifierKey, type VerifierKey } from "../../src/audit/evidence/keys.ts";
import { readNodeKey } from "../../src/audit/evidence/node-key.ts";
import { parseProof, verifyProof } from "../../src/audit/evidence/proof.ts";
import { createStoredProofs } from "../../src/audit/evidence/stored-proofs.ts";
import { isConsistent } from "../../src/audit/evidence/tree.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { startIndependentVerifier } from "../support/independent-verifier.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { openWitnessedNode, type WitnessedNode } from "../support/witnessed-node.ts";

setDefaultTimeout(60_000);

const folders = [temporaryFolder("node-here"), temporaryFolder("node-there")] as const;
const [hereDir, thereDir] = [folders[0].path, folders[1].path];
const independent = startIndependentVerifier();
let postgres: TestPostgres;
let store: Store;
let here: WitnessedNode;
let there: WitnessedNode;
let thereKey: VerifierKey;
const tenantSeq = 600;

beforeAll(async () => {
  postgres = await startPostgres();
  store = await openStore({
    ...{ databaseUrl: postgres.url, dataDir: hereDir, log: silentLog },
    ...{ migrate: true, deadlineMs: 30_000 },
  });
  here = await openWitnessedNode(hereDir, store);
  there = await openWitnessedNode(thereDir, store);
  await here.fill(10);
  await there.fill(tenantSeq - 2);
  await there.fill(10, "acme");
  const key = await readNodeKey(thereDir, originOf(there.logId));
  if (key === undefined) throw new Error("there is no node key");
  thereKey = key.verifier;
});

afterAll(async () => {
  independent[Symbol.dispose]();
  await here.log.close();
  await there.log.close();
  await store.close();
  await postgres[Symbol.asyncDispose]();
  for (const folder of folders) await folder[Symbol.asyncDispose]();
});

function serve(recordsMax?: number) {
  return createAuditEvidence({
    store: store.audit,
    log: here.log,
    evidence: here.log.evidence,
    stored: createStoredProofs({
      store: store.audit,
      witnessed: (logId) => store.checkpoints.last(logId),
      ...(recordsMax === undefined ? {} : { recordsMax }),
    }),
  });
}

function caller(tenant?: string): Caller {
  const { signal } = new AbortController();
  return { name: "ann", roles: ["auditor"], tenant, signal, draining: signal, note: () => {} };
}

const asked = (seq: number, more: { old_size?: number } = {}) => ({
  log_id: there.logId,
  seq,
  ...more,
});

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "answered",
    ({ fault }: { fault: { name: string; message: string } }) => `${fault.name}: ${fault.message}`,
  );

async function runSql(text: string): Promise<void> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(text);
  await client.end();
}

const setLeaf = (seq: number, leaf: string) =>
  runSql(
    `update audit_records set leaf = '${leaf}' where seq = ${seq} and log = (select log from audit_logs where log_id = '${there.logId}')`,
  );

test("nothing witnessed yet: the node to ask is named", async () => {
  const log_id = there.logId;
  const none = await refusal(serve().getCheckpoint({ log_id }, caller()));
  expect(none).toStartWith("resource-not-found: log_id: no checkpoint of");
  const unproved = await refusal(serve().getProof(asked(5), caller()));
  expect(unproved).toStartWith("not-signed-yet: ");
  expect(unproved).toContain(`ask the node that writes it, whose log_id is ${log_id}`);
  expect(await refusal(serve().getProof({ log_id: "no-log", seq: 1 }, caller()))).toStartWith(
    "resource-not-found",
  );
});

test("R-13 another node's record is proved, and a stranger believes it with that node's key alone", async () => {
  const size = await there.witness();
  const { checkpoint } = await serve().getCheckpoint({ log_id: there.logId }, caller());
  expect(checkpoint).toMatchObject({ log_id: there.logId, size });
  for (const seq of [1, 256, 257, 400, size]) {
    const answer = await serve().getProof(asked(seq), caller());
    const proof = parseProof(answer.proof);
    const boot = verifyBootCertificate(Buffer.from(proof.extra ?? "").toString(), [thereKey]);
    const leaf = Buffer.from(answer.leaf, "hex");
    expect(verifyProof(proof, leaf, originOf(there.logId), [boot.key]).size).toBe(size);
    expect(answer.leaf).toBe((await there.log.evidence?.leafOf(seq)) ?? "");
    const [receipt, path] = [join(hereDir, "receipt.json"), join(hereDir, "record.tlog-proof")];
    writeFileSync(receipt, JSON.stringify({ log: there.logId, seq, leaf: answer.leaf }));
    writeFileSync(path, answer.proof);
    const args = ["--key", renderVerifierKey(thereKey), "--receipt", receipt, "--proof", path];
    expect(await independent.verify(args)).toMatchObject({ ok: true });
  }
});

test("R-13 it goes on from an older checkpoint of that log", async () => {
  const old = (await serve().getCheckpoint({ log_id: there.logId }, caller())).checkpoint;
  await there.fill(300);
  const newSize = await there.witness();
  const { checkpoint, consistency } = await serve().getProof(
    asked(1, { old_size: old?.size ?? 0 }),
    caller(),
  );
  const claim = {
    oldSize: old?.size ?? 0,
    oldRoot: Buffer.from(old?.root ?? "", "hex"),
    newSize,
    newRoot: Buffer.from(checkpoint?.root ?? "", "hex"),
    proof: consistency.map((hash) => Buffer.from(hash, "hex")),
  };
  expect(isConsistent(claim)).toBe(true);
  const tooNew = await refusal(serve().getProof(asked(1, { old_size: newSize + 1 }), caller()));
  expect(tooNew).toStartWith("not-signed-yet: ");
});

test("what cannot be proved here is refused, with the node to ask", async () => {
  await there.fill(1);
  const { syncedSeq } = there.log.status();
  const late = await refusal(serve().getProof(asked(syncedSeq), caller()));
  expect(late).toContain("its last witnessed checkpoint covers");
  expect(late).toContain(there.logId);
  expect(await refusal(serve(500).getProof(asked(1), caller()))).toContain("too many to be proved");
  expect(await refusal(serve().getProof(asked(syncedSeq + 1), caller()))).toBe(
    "resource-not-found: seq: this log has no such record",
  );
  const leaf = (await there.log.evidence?.leafOf(3)) ?? "";
  await setLeaf(3, "ab".repeat(32));
  expect(await refusal(serve().getProof(asked(500), caller()))).toContain(
    "are not those witnessed",
  );
  await setLeaf(3, leaf);
  expect(await refusal(serve().getProof(asked(500), caller()))).toBe("answered");
});

test("AZ-15 a tenant's operator gets the tenant's records of the other log alone", async () => {
  expect(await serve().getProof(asked(tenantSeq), caller("acme"))).toMatchObject({
    index: tenantSeq - 1,
  });
  for (const [seq, tenant] of [
    [5, "acme"],
    [tenantSeq, "other"],
  ] as const) {
    expect(await refusal(serve().getProof(asked(seq), caller(tenant)))).toBe(
      "resource-not-found: seq: this log has no such record",
    );
  }
});
