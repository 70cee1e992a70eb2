/**
 * What recording costs: throughput at 64 connections as a share of the same executable's with the audit off, and the
 * latency it adds at 1,000 calls a second; for tools approved as read-only (class B) and for all others (class A).
 * The gateways take turns in each round, so a noisy minute touches all alike; the medians count, of latency those of
 * the differences within a round. Throughput is that of one core. Latency is that of a gateway which may use all of
 * them, as where it runs; only the load is held to one.
 */

import { measureCalls } from "./calls.ts";
import { allCores, confine, measuredCore } from "./child.ts";
import { median } from "./cold-start.ts";
import { startBenchGateway, startUpstream, type Target, unvouchedServer } from "./target.ts";

const crowd = { connections: 64 };
/** Connections enough that one is free for every call, unless answers take a quarter of a second. */
const paced = { connections: 256, callsPerSecond: 1_000 };

interface Cost {
  readonly rps: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface AuditCostOptions {
  readonly rounds: number;
  readonly durationMs: number;
  readonly warmUpMs: number;
}

export async function measureAuditCost({
  rounds,
  durationMs,
  warmUpMs,
}: AuditCostOptions): Promise<Readonly<Record<string, number>>> {
  await using upstream = await startUpstream();
  const off = await startBenchGateway(upstream, { audit: { enabled: false } });
  await using _off = off.gateway;
  const on = await startBenchGateway(upstream);
  await using _on = on.gateway;
  const a = { ...on.target, modernUrl: `${on.gateway.agents}/${unvouchedServer}/mcp` };
  const targets: Readonly<Record<string, Target>> = { off: off.target, b: on.target, a };
  const measured = new Map<string, Cost[]>(Object.keys(targets).map((name) => [name, []]));
  for (const target of Object.values(targets))
    await measureCalls("http_modern", target, warmUpMs, crowd);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, target] of Object.entries(targets)) {
      const { rps } = await measureCalls("http_modern", target, durationMs, crowd);
      confine(target.pid, allCores);
      const { p50Us, p99Us } = await measureCalls("http_modern", target, durationMs, paced);
      confine(target.pid, [measuredCore]);
      measured.get(name)?.push({ rps, p50Us, p99Us });
    }
  }
  const middle = (name: string, field: keyof Cost) =>
    median((measured.get(name) ?? []).map((one) => one[field]));
  const addedUs = (name: string, field: "p50Us" | "p99Us") =>
    (measured.get(name) ?? []).map((one, round) => {
      return one[field] - (measured.get("off")?.[round]?.[field] ?? Number.NaN);
    });
  const figures: Record<string, number> = {
    "audit_off.rps": middle("off", "rps"),
    "audit_off.p50_ms": middle("off", "p50Us") / 1000,
    "audit_off.p99_ms": middle("off", "p99Us") / 1000,
  };
  for (const name of ["b", "a"]) {
    figures[`audit_${name}_ratio`] = middle(name, "rps") / middle("off", "rps");
    figures[`audit_${name}.rps`] = middle(name, "rps");
    for (const [field, of] of [
      ["p50Us", "p50"],
      ["p99Us", "p99"],
    ] as const) {
      figures[`audit_${name}_added_${of}_ms`] = median(addedUs(name, field)) / 1000;
    }
  }
  return figures;
}
