/**
 * Witnesses through the executable: two nodes that cosign each other's checkpoints, one that goes away, one that
 * remembers another history, and a data folder put back to an older copy that only the other node can tell (ST-16,
 * ST-22, R-12).
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseCheckpoint } from "../../src/audit/evidence/checkpoint.ts";
import { renderVerifierKey, type VerifierKey } from "../../src/audit/evidence/keys.ts";
import { readNodeKey } from "../../src/audit/evidence/node-key.ts";
import { verifyNote } from "../../src/audit/evidence/note.ts";
import { loadWitnessKey } from "../../src/audit/witness/witness-key.ts";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { allRecords, registerClient } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(120_000);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Node {
  readonly dataDir: string;
  readonly port: number;
  /** Its own log's key, and the one it cosigns with. */
  readonly nodeKey: VerifierKey;
  readonly witnessKey: VerifierKey;
}

/** A node that was started once, so that its keys are there. */
async function makeNode(dataDir: string): Promise<Node> {
  await using first = await startGateway({ dataDir });
  const origin = `mcp-gateway/${readFileSync(join(first.dataDir, "node-id"), "utf8").trim()}`;
  const nodeKey = await until("its key", () => readNodeKey(dataDir, origin));
  const witnessKey = (await loadWitnessKey(dataDir)).verifier;
  return { dataDir, port: freePort(), nodeKey: nodeKey.verifier, witnessKey };
}

function twoNodes() {
  const folder = temporaryFolder("witnesses");
  cleanups.push(() => folder[Symbol.asyncDispose]());
  return Promise.all([makeNode(join(folder.path, "a")), makeNode(join(folder.path, "b"))]);
}

async function start(own: Node, other: Node): Promise<GatewayProcess> {
  const gateway = await startGateway({
    dataDir: own.dataDir,
    args: ["--ops-port", String(own.port)],
    config: {
      audit: {
        witness_for: [renderVerifierKey(other.nodeKey)],
        witness_interval_seconds: 1,
        witnesses: [
          {
            name: "other",
            url: `http://127.0.0.1:${other.port}`,
            key: renderVerifierKey(other.witnessKey),
          },
        ],
      },
    },
  });
  cleanups.push(() => gateway[Symbol.asyncDispose]());
  return gateway;
}

const unwitnessed = (gateway: GatewayProcess, what: "records" | "seconds", witness: string) =>
  readMetric(gateway.ops, `mcp_gateway_audit_unwitnessed_${what}`, `witness="${witness}"`);

async function record(gateway: GatewayProcess, id: string): Promise<void> {
  using admin = createAdminClient(gateway);
  await registerClient(admin, id, { allowed_tools: ["*"] });
}

test("two nodes cosign each other's checkpoints; one that is away is a window, and no more", async () => {
  const [a, b] = await twoNodes();
  const gateway = await start(a, b);
  const other = await start(b, a);
  expect(await (await fetch(`${other.ops}/witness-key`)).text()).toBe(
    `${renderVerifierKey(b.witnessKey)}\n`,
  );
  await record(gateway, "one");
  for (const one of [gateway, other]) {
    for (const witness of ["database", "other"]) {
      await until("all is witnessed", async () => {
        return (await unwitnessed(one, "records", witness)) === 0;
      });
    }
  }
  const cosigned = parseCheckpoint(
    readFileSync(join(a.dataDir, "evidence/checkpoint.cosigned"), "utf8"),
  );
  expect(verifyNote(cosigned.note, [a.nodeKey, b.witnessKey])).toMatchObject([
    { key: a.nodeKey, timestamp: undefined },
    { key: b.witnessKey },
  ]);
  await other[Symbol.asyncDispose]();
  await record(gateway, "two");
  await until("the window grows", async () => (await unwitnessed(gateway, "seconds", "other")) > 1);
  await until("it is said", () => gateway.stdout().includes("audit.witness_down"));
  expect(await unwitnessed(gateway, "records", "other")).toBeGreaterThan(0);
  await until("the database goes on", async () => {
    return (await unwitnessed(gateway, "records", "database")) === 0;
  });
  await start(b, a);
  await until("the window closes", async () => {
    return (await unwitnessed(gateway, "records", "other")) === 0;
  });
  expect(await unwitnessed(gateway, "seconds", "other")).toBe(0);
  expect(await readMetric(gateway.ops, "mcp_gateway_audit_witness_failures_total")).toBeGreaterThan(
    0,
  );
  expect(await readMetric(gateway.ops, "mcp_gateway_audit_witness_conflicts_total")).toBe(0);
});

test("ST-22: a witness that remembers another history is an alarm, on record, and calls go on", async () => {
  const [a, b] = await twoNodes();
  const other = await start(b, a);
  {
    await using gateway = await start(a, b);
    await until("it was witnessed", async () => {
      return (await unwitnessed(gateway, "records", "other")) === 0;
    });
  }
  await other[Symbol.asyncDispose]();
  const witnessed = join(b.dataDir, "witnessed");
  const [name = ""] = readdirSync(witnessed);
  const place = JSON.parse(readFileSync(join(witnessed, name), "utf8"));
  writeFileSync(join(witnessed, name), JSON.stringify({ ...place, root: "ab".repeat(32) }));
  const again = await start(b, a);
  const gateway = await start(a, b);
  await until("the alarm", async () => {
    return (await readMetric(gateway.ops, "mcp_gateway_audit_witness_conflicts_total")) === 1;
  });
  expect(gateway.stdout()).toContain("audit.witness_conflict");
  expect(await readMetric(again.ops, "mcp_gateway_audit_witness_lies_total")).toBeGreaterThan(0);
  using admin = createAdminClient(gateway);
  const [conflict] = await until("the record", async () => {
    const found = await allRecords(admin, { event: "witness.conflict" });
    return found.length > 0 && found;
  });
  expect(conflict?.envelope_json).toContain(`"witnessedSize":${place.size}`);
  const health = await (await fetch(`${gateway.ops}/health/detailed`)).json();
  expect(health).toMatchObject({ status: "ready" });
  expect(JSON.stringify(health)).toContain("other remember otherwise");
  await record(gateway, "goes-on");
});

test("ST-16: a data folder put back to an older copy is told by the witness, and a new log is begun", async () => {
  const [a, b] = await twoNodes();
  await start(b, a);
  const witnessedAll = (gateway: GatewayProcess) =>
    until("all is witnessed", async () => (await unwitnessed(gateway, "records", "other")) === 0);
  {
    await using gateway = await start(a, b);
    await witnessedAll(gateway);
  }
  const copy = `${a.dataDir}-copy`;
  cpSync(a.dataDir, copy, { recursive: true, preserveTimestamps: true });
  {
    await using gateway = await start(a, b);
    for (const id of ["one", "two", "three"]) await record(gateway, id);
    await witnessedAll(gateway);
  }
  const oldLog = readFileSync(join(a.dataDir, "node-id"), "utf8").trim();
  rmSync(a.dataDir, { recursive: true });
  cpSync(copy, a.dataDir, { recursive: true, preserveTimestamps: true });
  const gateway = await start(a, b);
  expect(gateway.stdout()).toContain("audit.rolled_back");
  expect(readFileSync(join(a.dataDir, "node-id"), "utf8").trim()).not.toBe(oldLog);
  using admin = createAdminClient(gateway);
  const [found] = await until("the record", async () => {
    const records = await allRecords(admin, { event: "integrity.violation" });
    return records.length > 0 && records;
  });
  const { facts } = JSON.parse(found?.envelope_json ?? "{}");
  expect(facts).toMatchObject({ kind: "rolled-back", log: oldLog });
  expect(facts.lastSeqWitnessed).toBeGreaterThan(facts.lastSeq);
  expect(facts.lastSeqInStore).toBe(facts.lastSeq);
});

test("add-checkpoint is not served where nobody is witnessed, and takes nothing but POST", async () => {
  await using alone = await startGateway();
  const post = (ops: string, method = "POST") => fetch(`${ops}/add-checkpoint`, { method });
  expect((await post(alone.ops)).status).toBe(404);
  const [a, b] = await twoNodes();
  const serving = await start(b, a);
  expect((await post(serving.ops)).status).toBe(400);
  expect((await post(serving.ops, "GET")).status).toBe(405);
});
