/**
 * The audit log as the rest of the gateway sees it: the spool, its copy in the database, and live listeners,
 * opened, recovered and closed together. `compose/` opens one per process.
 *
 * One log per node: its id is kept in `<data dir>/node-id` and one chain, and one tree, run on across restarts. Each
 * life of the process signs with a key of its own, which the node's key certifies in the life's first record.
 */
import { constants, existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { SealingKeys } from "../vault/keys.ts";
import { evidenceFolder, readSignedSize } from "./evidence/checkpoint-file.ts";
import { type Evidence, openEvidence } from "./evidence/evidence.ts";
import type { StartNotaryThread } from "./evidence/notary-thread.ts";
import { defaultEvidenceOptions, type EvidenceOptions } from "./evidence/options.ts";
import type { AuditLog, DurabilityLevel, RecordDraft, RecordRef } from "./record.ts";
import { type Copier, createCopier } from "./shipping/copier.ts";
import {
  defaultShipperOptions,
  type Shipper,
  type ShipperOptions,
  startShipper,
} from "./shipping/shipper.ts";
import { unavailable } from "./spool/callers.ts";
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
  readonly options?: Partial<SpoolOptions & ShipperOptions & EvidenceOptions>;
  readonly startThread?: StartSpoolThread;
  /** What the first record of this life of the process says; without it none is written, and nothing is signed. */
  readonly life?: RecordDraft["facts"];
  readonly startNotary?: StartNotaryThread;
  /** Copies on a thread of its own; by default records are copied on this one, to `store`. */
  readonly startCopier?: (spool: { readonly dir: string; readonly logId: string }) => Copier;
}

/** Share of the quota from which on shipped segments go before their age. */
const wantedShare = 0.5;
/** Segments in a full quota, at least: room is freed a segment at a time, and the one being written stays. */
const segmentsInQuotaMin = 8;

type Options = SpoolOptions & ShipperOptions & EvidenceOptions;

function chooseOptions(given: AuditLogDeps["options"]): Options {
  const defaults = { ...defaultSpoolOptions, ...defaultShipperOptions, ...defaultEvidenceOptions };
  const options = { ...defaults, ...given };
  const segmentBytesMax = Math.ceil(options.spoolBytesMax / segmentsInQuotaMin);
  return { ...options, segmentBytesMax: Math.min(options.segmentBytesMax, segmentBytesMax) };
}

export interface OpenAuditLog extends AuditLog {
  /** Checkpoints and proofs; undefined where the log was opened without a life. */
  readonly evidence: Evidence | undefined;
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
  let evidence: Evidence | undefined;
  const open = (logId: string) =>
    openSpool({
      dir,
      logId,
      clock,
      log,
      metrics,
      options,
      keys: deps.keys,
      synced: (seq, frames) => {
        evidence?.noteSynced(seq);
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
  if (deps.life !== undefined) {
    evidence = openEvidence({
      dataDir: deps.dataDir,
      spoolDir: dir,
      logId,
      clock,
      log,
      metrics,
      options,
      append: (draft) => spool.append(draft, "synced"),
      record,
      startThread: deps.startNotary,
    });
    await evidence.begin(spool.opened.lastSeq, deps.life);
  }
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
    neededAboveSeq,
    excessBytes,
  });
  const shippedSeq = () => shipper?.shippedSeq() ?? 0;
  metrics.gauge("mcp_gateway_audit_spool_bytes", () => spool.status().spoolBytes);
  metrics.gauge("mcp_gateway_audit_backlog", () => spool.status().syncedSeq - shippedSeq());
  return {
    died: spool.died,
    evidence,
    append,
    flush: spool.flush,
    tail: tail.listen,
    status: () => ({ logId, shippedSeq: shippedSeq(), ...spool.status() }),
    close: async () => {
      await Promise.race([spool.flush(), Bun.sleep(options.deadlineMs)]);
      await evidence?.close(spool.status().syncedSeq);
      await shipper?.stop();
      await copier.close();
      await spool.close();
    },
  };

  function excessBytes(): number {
    return spool.status().spoolBytes - options.spoolBytesMax * wantedShare;
  }

  /** What is not signed yet stays, unless signing has stopped and calls would soon have to stop too. */
  function neededAboveSeq(): number {
    if (evidence === undefined || (evidence.isLate() && excessBytes() > 0)) return Infinity;
    return evidence.signedSeq();
  }

  function append(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef> {
    if (evidence?.refuses(draft) !== true) return spool.append(draft, level);
    metrics.count("mcp_gateway_audit_failures_total", { class: draft.class });
    return Promise.reject(unavailable("nothing-is-signed"));
  }
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
  /** The last record in the spool, in the database, and under a checkpoint. */
  readonly lastSeq: number;
  readonly lastSeqInStore: number;
  readonly lastSeqSigned: number;
}

/**
 * The spool under this node's log id; under a new one where the database holds records of this log, or a checkpoint
 * covers some, which the spool does not hold (ST-15, ST-16). Going on under the old id would give numbers a second
 * time. What was found is kept beside.
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
    advice: "The spool lacks records it had: was an older copy restored? A new log is begun.",
  });
  await rename(dir, keptAs);
  const evidenceDir = evidenceFolder(deps.dataDir);
  if (existsSync(evidenceDir)) await rename(evidenceDir, `${evidenceDir}-${logId}`);
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
  const lastSeqInStore = head?.seq ?? 0;
  const lastSeqSigned = readSignedSize(evidenceFolder(deps.dataDir), logId);
  if (lastSeq >= Math.max(lastSeqInStore, lastSeqSigned)) return undefined;
  const kind = lastSeq === 0 ? "spool-lost" : "rolled-back";
  return { kind, logId, lastSeq, lastSeqInStore, lastSeqSigned };
}

function renderLoss({ logId, ...loss }: Loss, clock: Clock): RecordDraft {
  const facts = { ...loss, log: logId };
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
