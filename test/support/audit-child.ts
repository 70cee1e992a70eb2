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

async function callForEver(): Promise<void> {
  for (;;) {
    const own = { class: "A", timeMs: systemClock.nowMs(), details: { principal: "p" } } as const;
    const intent = await log.append(
      { ...own, event: "call.intent", facts: { tool: "t" } },
      "synced",
    );
    process.stdout.write(`i${intent.seq}\n`);
    const facts = { tool: "t", intent: intent.seq, status: "ok" };
    const outcome = await log.append({ ...own, event: "call.outcome", facts }, "synced");
    process.stdout.write(`o${outcome.seq}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, callForEver));
