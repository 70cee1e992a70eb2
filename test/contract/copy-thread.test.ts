/**
 * The copying thread on a real spool and real databases: what the calls' thread recorded arrives complete, a fork is
 * refused, and a database that cannot be used is an error that passes.
 */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { openAuditLog } from "../../src/audit/log.ts";
import type { Copier } from "../../src/audit/shipping/copier.ts";
import { createFilterTokens } from "../../src/audit/tokens.ts";
import { verifyStore } from "../../src/audit/verify/verify.ts";
import { startCopyThread } from "../../src/compose/copy-thread.ts";
import { sayStandingOnce } from "../../src/compose/standing-warnings.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { StoreError } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "../support/deadline.ts";
import { startPostgres } from "../support/postgres.ts";
import { openMemoryVault } from "../support/sealing.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function openParts() {
  const dataDir = mkdtempSync(join(tmpdir(), "copy-"));
  cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const database = { dataDir, deadlineMs: 2000 };
  const store = await openStore({ ...database, log: silentLog, migrate: true });
  cleanups.push(() => store.close());
  const vault = await openMemoryVault();
  let copier: Copier | undefined;
  const log = await openAuditLog({
    dataDir,
    store,
    keys: vault,
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    startCopier: (spool) => {
      copier = startCopyThread({ ...spool, store: database }, silentLog);
      return copier;
    },
    options: { lingerMs: 1, batchMax: 32, backoffMinMs: 5, backoffMaxMs: 20 },
  });
  const record = (count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        log.append(
          {
            event: "call.intent",
            class: "A",
            timeMs: systemClock.nowMs(),
            facts: { tool: `tö✓l-${index}` },
            details: { principal: "agent-1" },
          },
          "synced",
        ),
      ),
    );
  const { toStored } = createFilterTokens(vault);
  return { dataDir, database, store, log, record, toStored };
}

test("every record arrives once, in order, and verifies", async () => {
  const { store, log, record, toStored } = await openParts();
  await record(100);
  await until("the copy is complete", () => log.status().shippedSeq === 100);
  await record(7);
  const { logId } = log.status();
  await log.close();
  expect(await verifyStore(store.audit, logId)).toMatchObject({ ok: true, records: 107 });
  const page = await store.audit.scan({
    filter: await toStored({ principal: "agent-1", tool: "tö✓l-99" }),
    limit: 2,
    order: "ascending",
  });
  expect(page.rows.map((row) => row.seq)).toEqual([100]);
});

test("a database that holds another record of this log is a fork (ST-03)", async () => {
  const { dataDir, database, store, log, record } = await openParts();
  await record(3);
  await until("the copy is complete", () => log.status().shippedSeq === 3);
  const { logId } = log.status();
  await log.close();
  const [row] = (await store.audit.scan({ filter: {}, limit: 1, order: "descending" })).rows;
  if (row === undefined) throw new Error("nothing was copied");
  const copier = startCopyThread(
    { dir: join(dataDir, "spool"), logId, store: database },
    silentLog,
  );
  cleanups.push(() => copier.close());
  expect(await copier.head(3)).toEqual({ seq: 3, leaf: row.leaf });
  await store.audit.append([{ ...row, seq: 4, leaf: "other" }]);
  const error = await copier.head(3).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ kind: "corrupt" });
});

test("a database that cannot be opened is tried again with the next request", async () => {
  const { dataDir, log, record } = await openParts();
  await record(2);
  const { logId } = log.status();
  await log.close();
  const elsewhere = join(dataDir, "elsewhere");
  writeFileSync(elsewhere, "a file where the data folder should be");
  const store = { dataDir: elsewhere, deadlineMs: 2000 };
  const copier = startCopyThread({ dir: join(dataDir, "spool"), logId, store }, silentLog);
  cleanups.push(() => copier.close());
  expect(await copier.head(2).catch((cause: unknown) => cause)).toMatchObject({
    kind: "unavailable",
  });
  renameSync(elsewhere, `${elsewhere}-before`);
  await (await openStore({ ...store, log: silentLog, migrate: true })).close();
  expect(await copier.head(2)).toEqual({ seq: 0, leaf: "" });
  expect(await copier.copy({ afterSeq: 0, untilSeq: 2, limit: 9 })).toMatchObject({
    seq: 2,
    count: 2,
  });
  expect(await copier.copy({ afterSeq: 2, untilSeq: 2, limit: 9 })).toBeUndefined();
});

test("what the thread's own database warns of is in the gateway's log, each once", async () => {
  await using postgres = await startPostgres({ fsync: "off" });
  const dataDir = mkdtempSync(join(tmpdir(), "copy-"));
  cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const said: string[] = [];
  const log = sayStandingOnce({ ...silentLog, warn: (event) => void said.push(event) });
  const database = { databaseUrl: postgres.url, dataDir, deadlineMs: 30_000 };
  const store = await openStore({ ...database, log, migrate: true });
  cleanups.push(() => store.close());
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  await client.query("create table audit_records_2025_06 (in_the_way int)");
  await client.end();
  const audit = await openAuditLog({
    dataDir,
    store,
    keys: await openMemoryVault(),
    clock: { ...systemClock, nowMs: () => Date.UTC(2025, 5, 15) },
    log,
    metrics: createMetrics(),
    startCopier: (spool) => startCopyThread({ ...spool, store: database }, log),
    options: { lingerMs: 1, backoffMinMs: 5, backoffMaxMs: 20 },
  });
  cleanups.push(() => audit.close());
  const own = { event: "call.intent", class: "A", facts: {}, details: {} } as const;
  for (let at = 0; at < 3; at += 1) {
    const { seq } = await audit.append({ ...own, timeMs: Date.UTC(2025, 5, 15) }, "synced");
    await until("the copy", () => audit.status().shippedSeq >= seq);
  }
  expect(said.toSorted()).toEqual(["storage.not_durable", "storage.partition_missing"]);
});
