/**
 * `bun scripts/witness-soak.ts [--seconds 60] [--calls 50] [--interval SECONDS]`: for how long records lie so that a cut
 * of them could go unseen, under a steady load on the executable, with PostgreSQL as its database and another
 * gateway as its witness. What the ops port says is read ten times a second. Fails where a p99 is over its target.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { renderVerifierKey } from "../src/audit/evidence/keys.ts";
import { readNodeKey } from "../src/audit/evidence/node-key.ts";
import { loadWitnessKey } from "../src/audit/witness/witness-key.ts";
import { cpuMicroseconds } from "../test/bench/process-cost.ts";
import { createAdminClient } from "../test/support/admin-client.ts";
import { until } from "../test/support/deadline.ts";
import { type GatewayProcess, startGateway } from "../test/support/gateway-process.ts";
import { readMetric } from "../test/support/metrics.ts";
import { modernPost } from "../test/support/modern-agent.ts";
import { generousLimits, registerClient, registerHttpServer } from "../test/support/operator.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { startTinyServer } from "../test/support/tiny-server.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    calls: { type: "string", default: "50" },
    interval: { type: "string" },
  },
});
const sampleMs = 100;
const witnessName = "other";

/** Where each figure stands in the metrics, and the seconds its p99 may be. */
const windows = {
  "signed here": { metric: "mcp_gateway_audit_unsigned_seconds", labels: "", target: 1 },
  "in the database": {
    metric: "mcp_gateway_audit_unwitnessed_seconds",
    labels: 'witness="database"',
    target: 5,
  },
  "at the external witness": {
    metric: "mcp_gateway_audit_unwitnessed_seconds",
    labels: `witness="${witnessName}"`,
    target: 60,
  },
} as const;
type Window = keyof typeof windows;
const names = Object.keys(windows) as Window[];

/** The key that a node signs its log with; it was started once. */
async function findNodeKey(dataDir: string): Promise<string> {
  const origin = `mcp-gateway/${readFileSync(join(dataDir, "node-id"), "utf8").trim()}`;
  const { verifier } = await until("the node's key", () => readNodeKey(dataDir, origin));
  return renderVerifierKey(verifier);
}

async function sample(ops: string): Promise<Record<Window, number>> {
  const lines = (await (await fetch(`${ops}/metrics`)).text()).split("\n");
  const read = (window: Window): number => {
    const { metric, labels } = windows[window];
    const line = lines.find((one) => one.startsWith(metric) && one.includes(labels));
    return Number(line?.slice(line.lastIndexOf(" ") + 1) ?? Number.NaN);
  };
  const [here = Number.NaN, database = Number.NaN, external = Number.NaN] = names.map(read);
  return { "signed here": here, "in the database": database, "at the external witness": external };
}

/** What a group commit took on average, ms: the disk's part in all of this. */
async function readSyncMs(ops: string): Promise<number> {
  const name = "mcp_gateway_audit_sync_seconds";
  const [sum, count] = await Promise.all([
    readMetric(ops, `${name}_sum`),
    readMetric(ops, `${name}_count`),
  ]);
  return (sum / count) * 1000;
}

/** Calls at their times, whatever the answers do; resolves with how many failed. */
async function load(gateway: GatewayProcess, token: string, endsAtMs: number): Promise<number> {
  const running: Promise<boolean>[] = [];
  const startedMs = performance.now();
  const call = async (text: string): Promise<boolean> => {
    const params = { name: "echo", arguments: { text } };
    const to = { base: gateway.agents, scope: "tiny", token, method: "tools/call", params };
    const answer = await modernPost(to).catch(() => undefined);
    return (await answer?.text())?.includes('"result"') ?? false;
  };
  while (performance.now() < endsAtMs) {
    const due = ((performance.now() - startedMs) * Number(values.calls)) / 1000;
    while (running.length < due) running.push(call(String(running.length)));
    await Bun.sleep(5);
  }
  return (await Promise.all(running)).filter((isDone) => !isDone).length;
}

function report(name: Window, samples: readonly number[]): boolean {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(
      2,
    );
  const { target } = windows[name];
  console.log(
    `${name}: p50 ${at(0.5)} s, p99 ${at(0.99)} s, max ${at(1)} s; p99 wanted: ${target} s`,
  );
  return Number(at(0.99)) <= target;
}

async function soak(): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder("witness-soak")).path;
  const postgres = stack.use(await startPostgres());
  const upstream = stack.use(startTinyServer());
  const [watched, witness] = [join(folder, "watched"), join(folder, "witness")];
  const database = { url: postgres.url };
  await (await startGateway({ dataDir: watched, config: { database } }))[Symbol.asyncDispose]();
  const audit = { witness_for: [await findNodeKey(watched)] };
  const other = stack.use(await startGateway({ dataDir: witness, config: { audit } }));
  const key = renderVerifierKey((await loadWitnessKey(witness)).verifier);
  const interval =
    values.interval === undefined ? {} : { witness_interval_seconds: Number(values.interval) };
  const witnesses = [{ name: witnessName, url: other.ops, key }];
  const config = { database, audit: { ...interval, witnesses }, limits: generousLimits };
  const gateway = stack.use(await startGateway({ dataDir: watched, config }));
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", upstream.url);
  const token = await registerClient(admin, "soak", { allowed_tools: ["*"] });
  const startedMs = performance.now();
  const endsAtMs = startedMs + Number(values.seconds) * 1000;
  const cpuUs = cpuMicroseconds(gateway.pid);
  const loading = load(gateway, token, endsAtMs);
  const samples: Record<Window, number>[] = [];
  while (performance.now() < endsAtMs) {
    const nextMs = performance.now() + sampleMs;
    samples.push(await sample(gateway.ops));
    await Bun.sleep(Math.max(0, nextMs - performance.now()));
  }
  const failed = await loading;
  const cpuShare = (cpuMicroseconds(gateway.pid) - cpuUs) / 10 / (performance.now() - startedMs);
  console.log(
    `${samples.length} samples; ${upstream.seen.length} calls made, ${failed} failed; ${cpuShare.toFixed(1)} % of a core`,
  );
  console.log(`a group commit took ${(await readSyncMs(gateway.ops)).toFixed(1)} ms on average`);
  const isMet = names.map((name) =>
    report(
      name,
      samples.map((one) => one[name]),
    ),
  );
  return isMet.every(Boolean) && failed === 0;
}

if (!(await soak())) process.exitCode = 1;
