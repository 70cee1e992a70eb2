/**
 * A process for fault tests: a log whose notary signs as often as it can, appended to by many callers, until somebody
 * kills it. Says on stdout which checkpoints it was told of, `c<size> <root>`. Argument: the data directory.
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
  life: { version: "test" },
  options: {
    segmentBytesMax: 64 * 1024,
    tellMs: 1,
    signAfterMs: 1,
  },
});

let toldSize = 0;
function tell(): void {
  const checkpoint = log.evidence?.checkpoint();
  if (checkpoint === undefined || checkpoint.size === toldSize) return;
  toldSize = checkpoint.size;
  process.stdout.write(`c${checkpoint.size} ${checkpoint.root}\n`);
}
setInterval(tell, 1);

async function appendForEver(): Promise<void> {
  const own = { event: "admin.change", class: "A", facts: {}, details: {} } as const;
  for (;;) await log.append({ ...own, timeMs: systemClock.nowMs() }, "synced");
}

await Promise.all(Array.from({ length: 8 }, appendForEver));
