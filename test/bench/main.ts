/**
 * `npm run bench -- [--json FILE] [--quick] [--only NAME] [--without-gateway]`: what the gateway costs, told as ratios against
 * doing without it, measured in one run on one machine. `--only` takes a figure's name or the part before its dot.
 * `--quick` is a smoke test: each measurement must succeed, but its targets are not judged.
 */
import { existsSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { executable } from "../support/gateway-process.ts";
import { measureAuditCost } from "./audit-cost.ts";
import { type CallKind, callKinds, type Measured, measureCalls } from "./calls.ts";
import { measureColdStart, measureIdleMemory, median } from "./cold-start.ts";
import { measureIdle } from "./idle.ts";
import { measurePolicyCost } from "./policy-decide.ts";
import {
  startBenchGateway,
  startRelay,
  startUpstream,
  straightTarget,
  type Target,
} from "./target.ts";

const { values: options } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    "without-gateway": { type: "boolean", default: false },
  },
});

const rounds = options.quick ? 1 : 3;
const durationMs = options.quick ? 1_000 : 5_000;
/** The runtime compiles what is called often, for a quarter of a minute and on the same core: that is a start's cost. */
const warmUpMs = options.quick ? 1_000 : 20_000;
const idleConnections = options.quick ? 500 : 2_000;
const coldStarts = options.quick ? 3 : 15;

/** The most that a figure may be. */
const targets: Readonly<Record<string, number>> = {
  "http_legacy.cpu_vs_relay": 2.5,
  "http_modern.cpu_vs_relay": 2.5,
  "ws.cpu_vs_relay": 2.5,
  cold_start_ms: 300,
  idle_rss_mb: 120,
  policy_decide_us: 5,
  policy_load_ms: 100,
  audit_b_added_p50_ms: 1.5,
  audit_b_added_p99_ms: 8,
  audit_a_added_p50_ms: 1.5,
  audit_a_added_p99_ms: 8,
};

/** The least that a figure may be. */
const floors: Readonly<Record<string, number>> = { audit_b_ratio: 0.6, audit_a_ratio: 0.4 };

function isMet(name: string, value: number): boolean {
  const { [name]: most = Number.POSITIVE_INFINITY } = targets;
  return value <= most && value >= (floors[name] ?? Number.NEGATIVE_INFINITY);
}

function verdictOf(name: string, value: number): string {
  const { [name]: most } = targets;
  const { [name]: least } = floors;
  if (most === undefined && least === undefined) return "";
  return `${least === undefined ? `<= ${most}` : `>= ${least}`} ${isMet(name, value) ? "met" : "MISSED"}`;
}

const figures: Record<string, number> = {};
const notes: string[] = [];
let failed = 0;

function isWanted(...names: readonly string[]): boolean {
  const { only } = options;
  return only === undefined || names.some((name) => name === only || name.startsWith(`${only}.`));
}

/** A measurement that fails is told and counted; the others still run. */
async function attempt(name: string, measure: () => Promise<void>): Promise<void> {
  try {
    await measure();
  } catch (error) {
    failed += 1;
    notes.push(`${name}: ${error instanceof Error ? error.message : error}`);
    console.log(`FAILED: ${notes.at(-1)}`);
  }
}

/** Every target in every round, in turn, so that a noisy minute touches all alike; the median of each counts. */
async function compareCalls(kind: CallKind, compared: readonly Target[]): Promise<void> {
  const measured = new Map<string, Measured[]>();
  for (const target of compared) await measureCalls(kind, target, warmUpMs);
  for (let round = 0; round < rounds; round += 1) {
    for (const target of compared) {
      const one = await measureCalls(kind, target, durationMs);
      measured.set(target.name, [...(measured.get(target.name) ?? []), one]);
    }
  }
  const middle = (name: string, field: keyof Measured) =>
    median((measured.get(name) ?? []).map((one) => one[field]));
  for (const { name } of compared) {
    console.log(
      `${kind.padEnd(12)} ${name.padEnd(9)} ${middle(name, "rps").toFixed(0).padStart(7)} calls/s` +
        `  p50 ${middle(name, "p50Us").toFixed(0).padStart(6)} us  p99 ${middle(name, "p99Us").toFixed(0).padStart(6)} us` +
        `  cpu ${middle(name, "cpuUs").toFixed(1).padStart(6)} us/call`,
    );
    const prefix = name === "gateway" ? kind : `${kind}.${name}`;
    figures[`${prefix}.rps`] = middle(name, "rps");
    figures[`${prefix}.p50_us`] = middle(name, "p50Us");
    figures[`${prefix}.p99_us`] = middle(name, "p99Us");
    figures[`${prefix}.cpu_us`] = middle(name, "cpuUs");
  }
  if (!measured.has("gateway")) return;
  figures[`${kind}.cpu_vs_relay`] = middle("gateway", "cpuUs") / middle("relay", "cpuUs");
  figures[`${kind}.rps_vs_relay`] = middle("gateway", "rps") / middle("relay", "rps");
}

async function compareAllCalls(): Promise<void> {
  const kinds = callKinds.filter((kind) => isWanted(kind, `${kind}.cpu_vs_relay`));
  if (kinds.length === 0) return;
  await using upstream = await startUpstream();
  await using relay = await startRelay(upstream);
  const compared = [straightTarget(upstream), relay.target];
  if (options["without-gateway"]) {
    for (const kind of kinds) await attempt(kind, () => compareCalls(kind, compared));
    return;
  }
  const { gateway, target } = await startBenchGateway(upstream);
  await using _ends = gateway;
  for (const kind of kinds) await attempt(kind, () => compareCalls(kind, [...compared, target]));
}

/** What is held open, by the figure that tells its cost. */
const heldKinds = {
  idle_ws_kb: "idle-ws",
  idle_sse_kb: "idle-sse",
  listen_stream_kb: "listen",
  parked_call_kb: "parked",
} as const;

/** A gateway of its own for each kind, so that earlier load has left nothing behind. */
async function measureHeld(): Promise<void> {
  await using upstream = await startUpstream();
  for (const [figure, kind] of Object.entries(heldKinds)) {
    if (!isWanted(figure)) continue;
    const { gateway, target } = await startBenchGateway(upstream);
    await using _ends = gateway;
    const { pid, headers, socketUrl, modernUrl, legacyUrl } = target;
    const url = {
      "idle-ws": socketUrl,
      "idle-sse": `${gateway.agents}/legacy/sse`,
      listen: modernUrl,
      parked: legacyUrl,
    }[kind];
    await attempt(figure, async () => {
      figures[figure] = await measureIdle(kind, { pid, headers, url }, idleConnections);
    });
  }
}

async function measurePolicy(): Promise<void> {
  if (!isWanted("policy_decide_us", "policy_load_ms")) return;
  measurePolicyCost();
  const cost = measurePolicyCost();
  figures.policy_load_ms = cost.loadMs;
  figures.policy_decide_us = cost.decideUs;
  figures["policy_decide_us.first"] = cost.firstUs;
  figures["policy_decide_us.fresh"] = cost.freshUs;
  figures["policy_decide_us.again"] = cost.againUs;
}

async function measureAudit(): Promise<void> {
  if (!isWanted("audit", ...Object.keys(floors))) return;
  // Many short rounds: a noisy second spoils one of them, and what is compared lies close together.
  const short = options.quick ? {} : { rounds: 3 * rounds, durationMs: 2_000 };
  Object.assign(figures, await measureAuditCost({ rounds, durationMs, warmUpMs, ...short }));
}

async function measureProcess(): Promise<void> {
  if (isWanted("executable_mb")) figures.executable_mb = statSync(executable).size / 1e6;
  if (isWanted("cold_start_ms")) figures.cold_start_ms = await measureColdStart(coldStarts);
  if (isWanted("idle_rss_mb")) figures.idle_rss_mb = await measureIdleMemory();
}

await attempt("calls", compareAllCalls);
if (!options["without-gateway"]) {
  if (!existsSync(executable)) throw new Error("no dist/mcp-gateway: npm run build");
  if (isWanted(...Object.keys(heldKinds))) await attempt("what is held", measureHeld);
  await attempt("process", measureProcess);
  await attempt("policy", measurePolicy);
  await attempt("audit", measureAudit);
}

console.log("\nfigure                          value     target");
for (const [name, value] of Object.entries(figures)) {
  console.log(
    `${name.padEnd(30)} ${value.toFixed(2).padStart(9)}  ${verdictOf(name, value)}`.trimEnd(),
  );
  if (!isMet(name, value) && !options.quick) failed += 1;
}
const passed = Object.entries(figures).filter(
  ([name, value]) => options.quick || isMet(name, value),
).length;
notes.push(`${rounds} rounds of ${durationMs} ms, ${idleConnections} of each thing held`);
if (options.json !== undefined) {
  await Bun.write(options.json, `${JSON.stringify({ figures, passed, failed, notes }, null, 2)}\n`);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
