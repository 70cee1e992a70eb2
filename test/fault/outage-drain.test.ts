/**
 * R-06, compressed: PostgreSQL is away while records keep coming at a fixed rate, and comes back while they still do.
 * Nothing is refused, nothing lost, and the copy is the spool leaf for leaf. At the audit log's own door, with its real
 * threads. `FAULT_OUTAGE_SECONDS=3600` is the whole of it; a few seconds otherwise.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openAuditLog } from "../../src/audit/log.ts";
import { verifySpool, verifyStore } from "../../src/audit/verify/verify.ts";
import { startCopyThread } from "../../src/compose/copy-thread.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "../support/deadline.ts";
import { startPostgres } from "../support/postgres.ts";
import { openMemoryVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const outageSeconds = Number(process.env.FAULT_OUTAGE_SECONDS ?? 5);
const callsPerSecond = 500;
const tickMs = 20;
/** A disk that stands still for seconds is given no more than this, so that the queue before it never fills up. */
const runningMax = 2_000;
const drainTimeoutMs = 120_000 + outageSeconds * 1000;

test(
  "R-06 ST-01: an outage under load is recorded whole and drained while serving",
  async () => {
    await using folder = temporaryFolder("outage");
    await using postgres = await startPostgres();
    const dataDir = folder.path;
    const database = { databaseUrl: postgres.url, dataDir, deadlineMs: 2_000 };
    const store = await openStore({ ...database, log: silentLog, migrate: true });
    const log = await openAuditLog({
      dataDir,
      store,
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
      keys: await openMemoryVault(),
      startCopier: (spool) => startCopyThread({ ...spool, store: database }, silentLog),
      // The machine may be busy: what is asked is that nothing is refused for the database, not that a disk is quick.
      options: { deadlineMs: drainTimeoutMs, backoffMaxMs: 500, spoolBytesMax: 16 * 1024 ** 3 },
    });
    let recorded = 0;
    const refused: unknown[] = [];
    const running = new Set<Promise<void>>();

    function call(): void {
      const work = recordCall().catch((error: unknown) => void refused.push(error));
      running.add(work);
      void work.finally(() => running.delete(work));
    }

    async function recordCall(): Promise<void> {
      const facts = { tool: "echo", server: "tiny" };
      const own = { class: "A", details: { principal: "client:loader" } } as const;
      const intent = await log.append(
        { ...own, event: "call.intent", timeMs: systemClock.nowMs(), facts },
        "synced",
      );
      await log.append(
        {
          ...own,
          event: "call.outcome",
          timeMs: systemClock.nowMs(),
          facts: { ...facts, intent: intent.seq, status: "success" },
        },
        "synced",
      );
      recorded += 2;
    }

    const timer = setInterval(() => {
      for (let due = (callsPerSecond * tickMs) / 1000; due > 0; due -= 1) {
        if (running.size < runningMax) call();
      }
    }, tickMs);
    await until("the copy runs", () => log.status().shippedSeq > 0, drainTimeoutMs);
    await postgres.stop();
    await Bun.sleep(outageSeconds * 1000);
    const backlog = log.status().syncedSeq - log.status().shippedSeq;
    await postgres.restart();
    const backMs = performance.now();
    const reached = log.status().syncedSeq;
    await until("the backlog is drained", () => log.status().shippedSeq >= reached, drainTimeoutMs);
    const drainedMs = performance.now() - backMs;
    clearInterval(timer);
    await Promise.all(running);
    const { logId } = log.status();
    await log.close();

    expect(refused).toEqual([]);
    expect(backlog).toBeGreaterThan(0);
    const spool = verifySpool(join(dataDir, "spool"));
    expect(spool).toMatchObject({ ok: true });
    expect(spool.records).toBeGreaterThanOrEqual(recorded);
    const copy = await verifyStore(store.audit, logId);
    expect(copy).toMatchObject({ ok: true, records: spool.records, lastSeq: spool.lastSeq });
    const head = await store.audit.head(logId);
    expect(head?.leaf).toBe(spool.lastLeaf);
    const rate = Math.round(backlog / (drainedMs / 1000));
    console.log(
      `${backlog} records of backlog drained in ${Math.round(drainedMs)} ms, ${rate}/s beside what came`,
    );
    await store.close();
  },
  drainTimeoutMs * 2,
);
