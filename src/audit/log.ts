/**
 * The audit log as the rest of the gateway sees it: the spool, its copy in the database, and live listeners,
 * opened, recovered and closed together. `compose/` opens one per process.
 *
 * One log per node: its id is kept in `<data dir>/node-id` and one chain runs on across restarts. A log for every
 * start, with its own signing key and a certified beginning, comes with checkpoints.
 */
import { constants, existsSync } from "node:fs";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { AuditLog, RecordDraft } from "./record.ts";
import {
  defaultShipperOptions,
  type Shipper,
  type ShipperOptions,
  startShipper,
} from "./shipper.ts";
import { defaultSpoolOptions, openSpool, type Spool, type SpoolOptions } from "./spool.ts";
import { listSegments } from "./spool-files.ts";
import type { StartSpoolThread } from "./spool-thread.ts";
import { createTail } from "./tail.ts";

export interface AuditLogDeps {
  readonly dataDir: string;
  readonly store: Pick<Store, "audit">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "observe" | "gauge">;
  readonly options?: Partial<SpoolOptions & ShipperOptions>;
  readonly startThread?: StartSpoolThread;
}

export interface OpenAuditLog extends AuditLog {
  /** Syncs what was appended, stops shipping and releases the spool. */
  close(): Promise<void>;
}

/** Opens the log; rejects where the spool is in use, not private or unreadable. */
export async function openAuditLog(deps: AuditLogDeps): Promise<OpenAuditLog> {
  const { clock, log, metrics } = deps;
  const options = { ...defaultSpoolOptions, ...defaultShipperOptions, ...deps.options };
  const dir = join(deps.dataDir, "spool");
  const { logId, lost } = await chooseLogId(deps, dir);
  const tail = createTail((on) => spool.tail(on));
  let shipper: Shipper | undefined;
  const spool: Spool = await openSpool({
    dir,
    logId,
    clock,
    log,
    metrics,
    options,
    synced: (_seq, frames) => {
      shipper?.wake();
      tail.offer(frames);
    },
    ...(deps.startThread === undefined ? {} : { startThread: deps.startThread }),
  });
  const record = (draft: RecordDraft) => {
    spool.append(draft, "synced").catch((cause) => {
      log.error("audit.own_record_lost", { event: draft.event, reason: String(cause) });
    });
  };
  recordRecovery(spool, clock, record);
  if (lost !== undefined) record(renderLoss(lost, clock));
  shipper = startShipper({
    dir,
    logId,
    store: deps.store.audit,
    clock,
    log,
    metrics,
    options,
    syncedSeq: () => spool.status().syncedSeq,
    record,
    remove: spool.remove,
  });
  const shippedSeq = () => shipper?.shippedSeq() ?? 0;
  metrics.gauge("mcp_gateway_audit_spool_bytes", () => spool.status().spoolBytes);
  metrics.gauge("mcp_gateway_audit_backlog", () => spool.status().syncedSeq - shippedSeq());
  return {
    append: spool.append,
    flush: spool.flush,
    tail: tail.listen,
    status: () => ({ logId, shippedSeq: shippedSeq(), ...spool.status() }),
    close: async () => {
      await Promise.race([spool.flush(), Bun.sleep(options.deadlineMs)]);
      await shipper?.stop();
      await spool.close();
    },
  };
}

/** Says what a crash left: every open intent gets its outcome, and damage is named and kept. */
function recordRecovery(spool: Spool, clock: Clock, record: (draft: RecordDraft) => void): void {
  const { openIntents, damage } = spool.opened;
  const own = { class: "A", timeMs: clock.nowMs(), details: {} } as const;
  for (const intent of openIntents) {
    record({ ...own, event: "call.outcome", facts: { intent, status: "outcome_unknown" } });
  }
  if (openIntents.length > 0) {
    record({ ...own, event: "recovery.closed_intents", facts: { count: openIntents.length } });
  }
  for (const { segment, from, to, kind } of damage) {
    const name = segment.slice(segment.lastIndexOf("/") + 1);
    record({ ...own, event: "integrity.violation", facts: { kind, segment: name, from, to } });
  }
}

interface LostLog {
  readonly logId: string;
  readonly seq: number;
}

/**
 * The node's log id; a new one where the spool is empty although the database holds records of this log (ST-15,
 * ST-16). Going on under the old id would give numbers a second time.
 */
async function chooseLogId(
  deps: AuditLogDeps,
  dir: string,
): Promise<{ readonly logId: string; readonly lost: LostLog | undefined }> {
  const logId = await loadNodeId(deps.dataDir);
  if (existsSync(dir) && listSegments(dir).length > 0) return { logId, lost: undefined };
  const head = await deps.store.audit.head(logId).catch(() => undefined);
  if (head === undefined) return { logId, lost: undefined };
  deps.log.error("audit.spool_lost", { logId, seq: head.seq });
  await rm(join(deps.dataDir, "node-id"));
  return { logId: await loadNodeId(deps.dataDir), lost: { logId, seq: head.seq } };
}

function renderLoss(lost: LostLog, clock: Clock): RecordDraft {
  const facts = { kind: "spool-lost", log: lost.logId, lastSeqInStore: lost.seq };
  const own = { event: "integrity.violation", class: "A", details: {} } as const;
  return { ...own, timeMs: clock.nowMs(), facts };
}

const idPattern = /^[0-9a-f-]{36}$/;

/** This node's id, made at the first start. */
async function loadNodeId(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, "node-id");
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    const found = (await readFile(file, "utf8")).trim();
    if (idPattern.test(found)) return found;
    if (found !== "") throw new Error(`${path} must hold one UUID and nothing else`);
    const id = newId();
    await file.write(`${id}\n`, 0);
    await file.sync();
    return id;
  } finally {
    await file.close();
  }
}
