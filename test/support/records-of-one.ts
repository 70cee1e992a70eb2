/**
 * A data folder whose log holds a great many records of one person, with those of somebody else between them, made by
 * the audit log itself under keys of the folder's own vault: real work for an erasure. Asserts nothing.
 */
import { openAuditLog } from "../../src/audit/log.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import { startCopyThread } from "../../src/compose/copy-thread.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "./deadline.ts";
import { openFolderVault } from "./sealing.ts";

export interface RecordsOfOne {
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly principal: string;
  readonly records: number;
}

/** After so many of the person's records comes one of somebody else's, so that what is erased lies in pieces. */
export const recordsPerStranger = 10;

/** Appended at once, and waited for together. */
const groupRecords = 4096;
const deadlineMs = 30_000;
const shipTimeoutMs = 3_600_000;

/** Resolves once all of them stand in the spool and in the database. */
export async function writeRecordsOfOne(wanted: RecordsOfOne): Promise<void> {
  const { dataDir, principal, records } = wanted;
  const database = { databaseUrl: wanted.databaseUrl, dataDir, deadlineMs };
  const store = await openStore({ ...database, log: silentLog, migrate: true });
  const vault = await openFolderVault(dataDir);
  const log = await openAuditLog({
    ...{ dataDir, store, keys: vault, clock: systemClock, log: silentLog },
    metrics: createMetrics(),
    startCopier: (spool) => startCopyThread({ ...spool, store: database }, silentLog),
    options: { deadlineMs, spoolBytesMax: 64 * 1024 ** 3 },
  });
  for (let at = 0; at < records; ) {
    const group: Promise<unknown>[] = [];
    for (; at < records && group.length < groupRecords; at += 1) {
      group.push(log.append(draftOf(principal, at), "queued"));
      if (at % recordsPerStranger === 0)
        group.push(log.append(draftOf("client:old", at), "queued"));
    }
    await Promise.all(group);
    await log.flush();
  }
  const { syncedSeq } = log.status();
  await until("all of them copied", () => log.status().shippedSeq >= syncedSeq, shipTimeoutMs);
  await log.close();
  await vault.close();
  await store.close();
}

function draftOf(principal: string, at: number): RecordDraft {
  return {
    ...{ event: "call.outcome", class: "A", timeMs: systemClock.nowMs() },
    facts: { server: "tiny", tool: "echo", scope: "tiny", method: "tools/call", status: "success" },
    details: { principal, client: principal.slice("client:".length), session: `session-${at}` },
  };
}
