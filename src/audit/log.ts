/**
 * The audit log as the rest of the gateway sees it: the spool, its copy in the database, and live listeners,
 * opened, recovered and closed together. `compose/` opens one per process.
 *
 * One log per node: its id is kept in `<data dir>/node-id` and one chain runs on across restarts. A log for every
 * start, with its own signing key and a certified beginning, comes with checkpoints.
 */
import { constants } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { SealingKeys } from "../vault/keys.ts";
import type { AuditLog, RecordDraft } from "./record.ts";
import { type Copier, createCopier } from "./shipping/copier.ts";
import {
  defaultShipperOptions,
  type Shipper,
  type ShipperOptions,
  startShipper,
} from "./shipping/shipper.ts";
import { defaultSpoolOptions, openSpool, type Spool, type SpoolOptions } from "./spool/spool.ts";
import type { StartSpoolThread } from "./spool/thread.ts";
import { createTail, type Tail } from "./tail.ts";

export interface AuditLogDeps {
  readonly dataDir: string;
  readonly store: Pick<Store, "audit">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "observe" | "gauge">;
  /** Seals the personal values of records. */
  readonly keys: Pick<SealingKeys, "pairFor" | "listen">;
  readonly options?: Partial<SpoolOptions & ShipperOptions>;
  readonly startThread?: StartSpoolThread;
  /** Copies on a thread of its own; by default records are copied on this one, to `store`. */
  readonly startCopier?: (spool: { readonly dir: string; readonly logId: string }) => Copier;
}

/** Share of the quota from which on shipped segments go before their age. */
const wantedShare = 0.5;
/** Segments in a full quota, at least: room is freed a segment at a time, and the one being written stays. */
const segmentsInQuotaMin = 8;

function chooseOptions(given: AuditLogDeps["options"]): SpoolOptions & ShipperOptions {
  const options = { ...defaultSpoolOptions, ...defaultShipperOptions, ...given };
  const segmentBytesMax = Math.ceil(options.spoolBytesMax / segmentsInQuotaMin);
  return { ...options, segmentBytesMax: Math.min(options.segmentBytesMax, segmentBytesMax) };
}

export interface OpenAuditLog extends AuditLog {
  /** Resolves where the spool's thread died: nothing can be recorded, so nothing is done, until a new start. */
  readonly died: Promise<string>;
  /** Syncs what was appended, stops shipping and releases the spool. */
  close(): Promise<void>;
}

/** Opens the log; rejects where the spool is in use, not private or unreadable. */
export async function openAuditLog(deps: AuditLogDeps): Promise<OpenAuditLog> {
  const { clock, log, metrics } = deps;
  const options = chooseOptions(deps.options);
  const dir = join(deps.dataDir, "spool");
  let shipper: Shipper | undefined;
  let tail: Tail | undefined;
  const open = (logId: string) =>
    openSpool({
      dir,
      logId,
      clock,
      log,
      metrics,
      options,
      keys: deps.keys,
      synced: (_seq, frames) => {
        shipper?.wake();
        tail?.offer(frames);
      },
      ...(deps.startThread === undefined ? {} : { startThread: deps.startThread }),
    });
  const { logId, spool, loss } = await openOwnSpool(deps, dir, open);
  tail = createTail({ switched: spool.tail, metrics });
  const record = (draft: RecordDraft) => {
    spool.append(draft, "synced").catch((cause) => {
      log.error("audit.own_record_lost", { event: draft.event, reason: String(cause) });
    });
  };
  recordRecovery(spool, clock, record);
  if (loss !== undefined) record(renderLoss(loss, clock));
  const store = deps.store.audit;
  const copier = deps.startCopier?.({ dir, logId }) ?? createCopier({ dir, logId, store });
  shipper = startShipper({
    dir,
    logId,
    copier,
    store,
    clock,
    log,
    metrics,
    options,
    syncedSeq: () => spool.status().syncedSeq,
    record,
    remove: spool.remove,
    excessBytes: () => spool.status().spoolBytes - options.spoolBytesMax * wantedShare,
  });
  const shippedSeq = () => shipper?.shippedSeq() ?? 0;
  metrics.gauge("mcp_gateway_audit_spool_bytes", () => spool.status().spoolBytes);
  metrics.gauge("mcp_gateway_audit_backlog", () => spool.status().syncedSeq - shippedSeq());
  return {
    died: spool.died,
    append: spool.append,
    flush: spool.flush,
    tail: tail.listen,
    status: () => ({ logId, shippedSeq: shippedSeq(), ...spool.status() }),
    close: async () => {
      await Promise.race([spool.flush(), Bun.sleep(options.deadlineMs)]);
      await shipper?.stop();
      await copier.close();
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

interface OwnSpool {
  readonly logId: string;
  readonly spool: Spool;
  readonly loss: Loss | undefined;
}

interface Loss {
  readonly kind: "spool-lost" | "rolled-back";
  readonly logId: string;
  /** The last record in the spool, and in the database. */
  readonly lastSeq: number;
  readonly lastSeqInStore: number;
}

/**
 * The spool under this node's log id; under a new one where the database holds records of this log which the spool
 * does not (ST-15, ST-16). Going on under the old id would give numbers a second time. What was found is kept beside.
 */
async function openOwnSpool(
  deps: AuditLogDeps,
  dir: string,
  open: (logId: string) => Promise<Spool>,
): Promise<OwnSpool> {
  const logId = await loadNodeId(deps.dataDir);
  const spool = await open(logId);
  const loss = await findLoss(deps, logId, spool.opened);
  if (loss === undefined) return { logId, spool, loss };
  await spool.close();
  const keptAs = `${dir}-${logId}`;
  deps.log.error(loss.kind === "rolled-back" ? "audit.rolled_back" : "audit.spool_lost", {
    ...loss,
    keptAs,
    advice: "The spool is older than the database: was a copy restored? A new log is begun.",
  });
  await rename(dir, keptAs);
  await rm(join(deps.dataDir, "node-id"));
  const newLogId = await loadNodeId(deps.dataDir);
  return { logId: newLogId, spool: await open(newLogId), loss };
}

async function findLoss(
  deps: AuditLogDeps,
  logId: string,
  { lastSeq }: Spool["opened"],
): Promise<Loss | undefined> {
  const head = await deps.store.audit.head(logId).catch(() => undefined);
  if (head === undefined || head.seq <= lastSeq) return undefined;
  const kind = lastSeq === 0 ? "spool-lost" : "rolled-back";
  return { kind, logId, lastSeq, lastSeqInStore: head.seq };
}

function renderLoss({ kind, logId, lastSeq, lastSeqInStore }: Loss, clock: Clock): RecordDraft {
  const facts = { kind, log: logId, lastSeq, lastSeqInStore };
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
