/**
 * Erasing with two gateways on one PostgreSQL and one vault in it: whoever was recorded by both is gone from both,
 * whether the second serves meanwhile, is down for a while, or for so long that the first one does its part; and
 * PostgreSQL's folder keeps nothing of it.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findOnDisk } from "../support/bytes-on-disk.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { countPending } from "../support/erasing.ts";
import {
  type IndependentVerifier,
  startIndependentVerifier,
} from "../support/independent-verifier.ts";
import { modernCall } from "../support/modern-agent.ts";
import { type NodePair, type PairedNode, startNodePair } from "../support/node-pair.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { countInMemory } from "../support/process-memory.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(120_000);

const from = process.env.MCP_GATEWAY_TEST_FROM === "source" ? "source" : "executable";
/** docs/audit.md: a look every 5 seconds, and the deadline of one query. */
const forgottenMs = 10_000;
const callsEach = 6;
/** For what has no promised time, on a machine that others use. */
const patientMs = 60_000;

const stack = new AsyncDisposableStack();
const tokens = new Map<string, string>();
let pair: NodePair;
let independent: IndependentVerifier;
let urlFile = "";

beforeAll(async () => {
  const tiny = stack.use(startTinyServer());
  pair = stack.use(await startNodePair(from));
  independent = stack.use(startIndependentVerifier());
  urlFile = join(stack.use(temporaryFolder("url")).path, "url");
  writeFileSync(urlFile, pair.recordsUrl, { mode: 0o600 });
  const admin = pair.here.admin();
  await registerHttpServer(admin, "tiny", tiny.url, { data_class: "DATA_CLASS_INTERNAL" });
  for (const name of ["ann", "bob", "cat", "dan"]) {
    const tools = { allowed_tools: ["tiny__echo"] };
    tokens.set(name, await registerClient(admin, nameOf(name), tools));
  }
});
afterAll(() => stack.disposeAsync());

const nameOf = (name: string) => `erasing-${name}`;
const principalOf = (name: string) => `client:${nameOf(name)}`;
const askedOf = (name: string) => `asked-by-${name}-and-nobody-else`;

async function call({ gateway }: PairedNode, name: string): Promise<void> {
  const token = tokens.get(name) ?? "";
  const params = { name: "tiny__echo", arguments: { text: askedOf(name) } };
  const own = { base: gateway().agents, token, method: "tools/call", params };
  await until("the client known", async () => (await modernCall(own)).status === 200);
}

/** Records of somebody through both nodes. */
async function record(...names: readonly string[]): Promise<void> {
  for (let time = 0; time < callsEach; time += 1) {
    for (const name of names) await Promise.all([call(pair.here, name), call(pair.there, name)]);
  }
}

/** Who can be read at a node, by the log that recorded the call. */
async function readable(at: PairedNode, name: string): Promise<number> {
  const found = await allRecords(at.admin(), { event: "call.outcome" });
  return found.filter((one) => one.details_json.includes(askedOf(name))).length;
}

async function destroy(at: PairedNode, name: string): Promise<void> {
  const target = ["--principal", principalOf(name), "--reason", "asked for it", "--sweep-now"];
  const door = ["--admin", at.gateway().admin, "--data-dir", at.dataDir];
  const done = await runGateway(["key", "destroy", ...target, ...door]);
  expect([done.exitCode, done.stderr]).toEqual([0, ""]);
}

const pending = (at: PairedNode) => countPending(at.admin());
const swept = (at: PairedNode) => until("swept", async () => (await pending(at)) === 0, patientMs);

const bothDirs = () => [pair.here.dataDir, pair.there.dataDir];

/** Orders count once they are signed and the database has heard of it: a running gateway's within five seconds. */
async function expectSound(): Promise<void> {
  let faults: readonly unknown[] = [];
  await until("signed orders", async () => {
    faults = await findFaults();
    return !JSON.stringify(faults).includes("not-yet-witnessed");
  });
  expect(faults).toEqual([]);
}

/** What both verifiers say of both spools and of the database; nothing where all of it is sound. */
async function findFaults(): Promise<readonly unknown[]> {
  const keys = await Promise.all(bothDirs().map((dir) => cli("audit", "key", "--data-dir", dir)));
  const keyFlags = keys.flatMap((key) => ["--key", key.trim()]);
  const faults: unknown[] = [];
  for (const dir of bothDirs()) {
    const ours = JSON.parse(await cli("audit", "verify", "--data-dir", dir, ...keyFlags, "--json"));
    const theirs = await independent.verify([...keyFlags, join(dir, "spool")]);
    for (const one of [ours, theirs]) if (!one.ok) faults.push(one);
  }
  const database = ["--database-url-file", urlFile, ...keyFlags, "--json"];
  for (const line of (await cli("audit", "verify", ...database)).trim().split("\n")) {
    const one = JSON.parse(line);
    if (!one.ok) faults.push(one);
  }
  return faults;
}

async function cli(...args: readonly string[]): Promise<string> {
  return (await runGateway(args)).stdout;
}

/** How many of the person's rows are still sealed, or still carry their token. */
async function rowsOf(key: string, token: string): Promise<number> {
  const [row] = await pair.sql(
    "records",
    `select count(*)::int as count from audit_records where details like '%"subject":"${key}"%' or principal = '${token}'`,
  );
  return Number(row?.count);
}

test("K-12 PV-01 PV-02 erased at one node while both serve: the other forgets, both sweep, PostgreSQL keeps nothing", async () => {
  await record("ann", "bob");
  await until(
    "all copied",
    async () => (await readable(pair.there, "ann")) === 2 * callsEach,
    patientMs,
  );
  const traces = await pair.tracesOf(principalOf("ann"), [askedOf("ann")]);
  expect(traces.records).toBe(4 * callsEach);
  const { here, there } = pair;
  const pids = [here, there].map((node) => node.gateway().pid);
  for (const pid of pids) expect(countInMemory(pid, [traces.dek])[0]).toBeGreaterThan(0);
  await pair.sql("records", "checkpoint");
  // What is searched for can be found; and nothing of it ever lay in clear, journal included.
  expect(kindsOf(findOnDisk(join(pair.pgdata, "base"), traces.stored))).toEqual(
    Object.keys(traces.stored).sort(),
  );
  expect(findOnDisk(pair.pgdata, traces.clear)).toEqual([]);
  await expectSound();
  const files = await vaultFiles();

  let isDone = false;
  let others = 0;
  const serving = (async () => {
    while (!isDone) {
      await Promise.all([call(here, "bob"), call(there, "bob")]);
      others += 2;
    }
  })();
  await destroy(here, "ann");
  const orderedMs = performance.now();
  // Readers ask whether a key still is: from now on nobody reads, at neither node.
  expect([await readable(here, "ann"), await readable(there, "ann")]).toEqual([0, 0]);
  const heldMs = await lastHeld(there.gateway().pid, traces.dek, orderedMs);
  expect(heldMs).toBeLessThan(forgottenMs);
  await swept(here);
  for (const pid of pids) expect(countInMemory(pid, [traces.dek])).toEqual([0]);
  isDone = true;
  await serving;
  console.info(`the other node held the key for ${heldMs} ms at least; ${others} calls meanwhile`);
  expect(await rowsOf(traces.key, String(traces.stored.tokens?.[0]))).toBe(0);
  for (const dir of bothDirs())
    expect(findOnDisk(dir, { ...traces.stored, ...traces.clear })).toEqual([]);
  await until(
    "all copied",
    async () => (await readable(here, "bob")) === 2 * callsEach + others,
    patientMs,
  );
  expect(await readable(there, "bob")).toBe(2 * callsEach + others);
  await expectSound();

  // The vault's own tables were written anew by the gateways; the records' are the operator's to vacuum.
  const anew = await vaultFiles();
  for (const [table, file] of Object.entries(files))
    expect([table, anew[table]]).not.toEqual([table, file]);
  await pair.sql("vault", "checkpoint");
  const { wrapped = [], owner = [] } = traces.stored;
  expect(findOnDisk(join(pair.pgdata, "base"), { wrapped, owner })).toEqual([]);
  await pair.sql("records", "vacuum full", "checkpoint");
  expect(findOnDisk(join(pair.pgdata, "base"), traces.stored)).toEqual([]);
  // The journal holds what was stored until PostgreSQL lets its segments go.
  await pair.sql("records", "select pg_switch_wal()", "checkpoint");
  expect(findOnDisk(pair.pgdata, { ...traces.stored, ...traces.clear })).toEqual([]);
});

/** When the last look into a process began that still found the key, since a time. */
async function lastHeld(pid: number, dek: Uint8Array, fromMs: number): Promise<number> {
  let heldMs = 0;
  await until(
    "the key forgotten",
    () => {
      const beganMs = Math.round(performance.now() - fromMs);
      if (countInMemory(pid, [dek])[0] === 0) return true;
      heldMs = beganMs;
      return false;
    },
    4 * forgottenMs,
  );
  return heldMs;
}

/** The files that the vault's tables lie in: others after `VACUUM FULL`. */
async function vaultFiles(): Promise<Readonly<Record<string, unknown>>> {
  const tables = ["vault_keys", "vault_sweeps"];
  const columns = tables.map((table) => `pg_relation_filenode('${table}') as ${table}`);
  const [row] = await pair.sql("vault", `select ${columns.join(", ")}`);
  return row ?? {};
}

function kindsOf(found: readonly string[]): readonly string[] {
  return [...new Set(found.map((hit) => hit.replace(/: .*/, "")))].sort();
}

test.each([
  ["for a while: it does its part when it is back", "cat", false],
  ["for so long that the other empties its rows: its spool when it is back", "dan", true],
] as const)(
  "K-12 PV-01 the key is destroyed while the other node is down %s",
  async (_, name, isLong) => {
    await record(name);
    const { here, there } = pair;
    await until(
      "all copied",
      async () => (await readable(here, name)) === 2 * callsEach,
      patientMs,
    );
    const traces = await pair.tracesOf(principalOf(name), [askedOf(name)]);
    const token = String(traces.stored.tokens?.[0]);
    const bob = await readable(here, "bob");
    await there.stop();
    if (isLong) await pair.sql("vault", "update vault_nodes set seen_at_ms = seen_at_ms - 3600000");
    await destroy(here, name);
    expect(await readable(here, name)).toBe(0);
    const left = isLong ? 0 : 2 * callsEach;
    await until(
      "its own part swept",
      async () => (await rowsOf(traces.key, token)) === left,
      60_000,
    );
    await until(
      "its spool swept",
      () => findOnDisk(here.dataDir, traces.stored).length === 0,
      patientMs,
    );
    // Not struck out before the other node's spool is done.
    expect(await pending(here)).toBe(1);
    expect(kindsOf(findOnDisk(there.dataDir, traces.stored))).toEqual([
      "salts",
      "sealed",
      "tokens",
    ]);
    await there.start();
    expect(await readable(there, name)).toBe(0);
    await swept(there);
    expect(await rowsOf(traces.key, token)).toBe(0);
    expect(findOnDisk(there.dataDir, { ...traces.stored, ...traces.clear })).toEqual([]);
    expect(await readable(there, "bob")).toBe(bob);
    await expectSound();
  },
);
