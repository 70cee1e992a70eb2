/**
 * A data folder whose log already holds calls of a month ago, made by the audit log itself under a clock set back:
 * something for retention to delete, which takes nothing younger than a day.
 */
import { openAuditLog } from "../../src/audit/log.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { openFolderVault } from "./sealing.ts";

const monthMs = 30 * 24 * 60 * 60 * 1000;

export async function writeOldRecords(dataDir: string, count: number): Promise<void> {
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() - monthMs };
  const store = await openStore({ dataDir, log: silentLog, deadlineMs: 5_000, migrate: true });
  const vault = await openFolderVault(dataDir);
  const log = await openAuditLog({
    dataDir,
    store,
    keys: vault,
    clock,
    log: silentLog,
    metrics: createMetrics(),
  });
  const own = { event: "session.opened", class: "B", details: { principal: "old" } } as const;
  const facts = { binding: "http" };
  for (let at = 0; at < count; at += 1) {
    void log.append({ ...own, timeMs: clock.nowMs(), facts }, "queued");
  }
  await log.flush();
  await log.close();
  await vault.close();
  await store.close();
}
