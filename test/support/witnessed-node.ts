/**
 * A node's audit log on real files and a real database, whose witness runs when a test says so: for what happens to
 * evidence that is lost, or asked of another node.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { evidenceFolder } from "../../src/audit/evidence/checkpoint-file.ts";
import { type AuditLogDeps, type OpenAuditLog, openAuditLog } from "../../src/audit/log.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { createDatabaseWitness } from "../../src/audit/witness/database-witness.ts";
import { readOwnTree } from "../../src/audit/witness/own-tree.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "./deadline.ts";
import { openMemoryVault } from "./sealing.ts";

export interface WitnessedNode extends AsyncDisposable {
  readonly log: OpenAuditLog;
  readonly logId: string;
  /** Appends so many records; resolves once all are signed and copied. */
  fill(count: number, tenant?: string): Promise<void>;
  /** Has the database remember the latest checkpoint; resolves with its size. */
  witness(): Promise<number>;
}

const quick = {
  ...{ tellMs: 5, signAfterMs: 20, retryMs: 20, lingerMs: 1 },
  ...{ proofDeadlineMs: 30_000, leafDeadlineMs: 30_000 },
  ...{ segmentBytesMax: 8192, keepShippedMs: 0, tidyIntervalMs: 10 },
};

const groupRecords = 20;

export async function openWitnessedNode(
  dataDir: string,
  store: Store,
  options: AuditLogDeps["options"] = {},
): Promise<WitnessedNode> {
  const log = await openAuditLog({
    ...{ dataDir, store, clock: systemClock, log: silentLog, metrics: createMetrics() },
    keys: await openMemoryVault(),
    life: { version: "test" },
    witnessed: (logId) => store.checkpoints.last(logId),
    options: { ...quick, ...options },
  });
  const { logId } = log.status();
  return {
    log,
    logId,
    async fill(count, tenant) {
      const facts = tenant === undefined ? {} : { tenant };
      const one = { event: "admin.change", class: "A", details: {}, facts } as const;
      // A group that is synced at once stays in one segment.
      for (let left = count; left > 0; left -= groupRecords) {
        const group = Array.from({ length: Math.min(left, groupRecords) }, () =>
          log.append({ ...one, timeMs: systemClock.nowMs() }, "synced"),
        );
        await Promise.all(group);
      }
      const { syncedSeq } = log.status();
      await until("all is signed and copied", () => {
        const signedSeq = log.evidence?.signedSeq() ?? 0;
        return signedSeq >= syncedSeq && log.status().shippedSeq >= syncedSeq;
      });
    },
    async witness() {
      const tree = readOwnTree({ dataDir, evidenceDir: evidenceFolder(dataDir), logId });
      if (tree === undefined) throw new Error("nothing was signed yet");
      await createDatabaseWitness(store.checkpoints, systemClock).witness(tree);
      return tree.size;
    },
    [Symbol.asyncDispose]: () => log.close(),
  };
}

/** The facts of the records of one event in a node's spool. */
export function factsIn(dataDir: string, event: string): readonly Record<string, unknown>[] {
  return listSegments(join(dataDir, "spool"))
    .flatMap(({ path }) => scanSegment(readFileSync(path)).records)
    .map(({ envelope }) => JSON.parse(envelope))
    .filter((one) => one.event === event)
    .map(({ facts }) => facts);
}
