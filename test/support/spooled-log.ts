/**
 * An audit log on a real spool in a folder of its own, over a database in memory: for tests of what reads the spool.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditLogDeps, openAuditLog } from "../../src/audit/log.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import { createSpoolReader, type SpoolRecord } from "../../src/audit/spool/reader.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createMemoryAuditStore, type MemoryAuditStore } from "./memory-audit-store.ts";
import { openMemoryVault } from "./sealing.ts";

export interface SpooledLog extends AsyncDisposable {
  readonly dataDir: string;
  readonly spoolDir: string;
  readonly logId: string;
  readonly store: MemoryAuditStore;
  readonly syncedSeq: () => number;
  readonly shippedSeq: () => number;
  /** Appends calls' outcomes, synced; the facts are laid over plain ones. */
  append(...facts: RecordDraft["facts"][]): Promise<void>;
  /** What the spool holds after `afterSeq`. */
  read(afterSeq?: number): Promise<readonly SpoolRecord[]>;
}

export async function openSpooledLog(options: AuditLogDeps["options"] = {}): Promise<SpooledLog> {
  const store = createMemoryAuditStore();
  const dataDir = mkdtempSync(join(tmpdir(), "mcp-gateway-spooled-"));
  const log = await openAuditLog({
    dataDir,
    store: { audit: store },
    keys: await openMemoryVault(),
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    options,
  });
  const spoolDir = join(dataDir, "spool");
  return {
    dataDir,
    spoolDir,
    logId: log.status().logId,
    store,
    shippedSeq: () => log.status().shippedSeq,
    syncedSeq: () => log.status().syncedSeq,
    async append(...facts) {
      for (const more of facts) {
        await log.append(
          {
            event: "call.outcome",
            class: "A",
            timeMs: systemClock.nowMs(),
            facts: { server: "calc", tool: "add", status: "success", ...more },
            details: { principal: "alice@example.com", client: "agent-1" },
          },
          "synced",
        );
      }
    },
    read: (afterSeq = 0) =>
      createSpoolReader(spoolDir).read(afterSeq, log.status().syncedSeq, 10_000),
    async [Symbol.asyncDispose]() {
      await log.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
