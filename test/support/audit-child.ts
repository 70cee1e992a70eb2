/**
 * A process for fault tests: appends records to an audit log as fast as it may and writes each acknowledged
 * sequence number to stdout, until somebody kills it. Argument: the data directory.
 */
import { openAuditLog } from "../../src/audit/log.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createMemoryAuditStore } from "./memory-audit-store.ts";
import { openFolderVault } from "./sealing.ts";

const log = await openAuditLog({
  dataDir: process.argv[2] ?? "",
  store: { audit: createMemoryAuditStore() },
  keys: await openFolderVault(process.argv[2] ?? ""),
  clock: systemClock,
  log: silentLog,
  metrics: createMetrics(),
  options: { segmentBytesMax: 64 * 1024 },
});

const describe = () =>
  ({ class: "A", timeMs: systemClock.nowMs(), details: { principal: "p" } }) as const;

async function begin(): Promise<number> {
  const intent = { ...describe(), event: "call.intent", facts: { tool: "t" } } as const;
  const { seq } = await log.append(intent, "synced");
  process.stdout.write(`i${seq}\n`);
  return seq;
}

async function callForEver(): Promise<void> {
  for (;;) {
    const facts = { tool: "t", intent: await begin(), status: "ok" };
    const outcome = { ...describe(), event: "call.outcome", facts } as const;
    process.stdout.write(`o${(await log.append(outcome, "synced")).seq}\n`);
  }
}

// One call does not end: whenever the process is killed, something is open.
await begin();
await Promise.all(Array.from({ length: 16 }, callForEver));
