/**
 * The audit log as the rest of the gateway sees it: the spool, its copy in the database, and live listeners,
 * opened, recovered and closed together. `compose/` opens one per process.
 *
 * One log per node: its id is kept in `<data dir>/node-id` and one chain, and one tree, run on across restarts. Each
 * life of the process signs with a key of its own, which the node's key certifies in the life's first record.
 */
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { SealingKeys } from "../vault/keys.ts";
import { findJumpAtStart, watchClock } from "./clock-watch.ts";
import { watchDescriptors } from "./descriptor-watch.ts";
import { type Evidence, type EvidenceDeps, openEvidence } from "./evidence/evidence.ts";
import type { StartNotaryThread } from "./evidence/notary-thread.ts";
import { defaultEvidenceOptions, type EvidenceOptions } from "./evidence/options.ts";
import { openOwnSpool, renderLoss } from "./own-spool.ts";
import type { AuditLog, DurabilityLevel, RecordDraft, RecordRef } from "./record.ts";
import { createCatchingUp } from "./shipping/catching-up.ts";
import { type Copier, createCopier } from "./shipping/copier.ts";
import {
  defaultShipperOptions,
  type Shipper,
  type ShipperOptions,
  startShipper,
} from "./shipping/shipper.ts";
import { unavailable } from "./spool/callers.ts";
import { closesIntent } from "./spool/gaps.ts";
import { defaultSpoolOptions, type SpoolOptions } from "./spool/options.ts";
import { openSpool, type Spool } from "./spool/spool.ts";
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
  /** The most records of a log that a witness remembers; 0 where none can be asked. */
  readonly witnessedSize?: (logId: string) => Promise<number>;
  /** The last checkpoint of a log that the database of its witness remembers, to make lost evidence anew from. */
  readonly witnessed?: EvidenceDeps["witnessed"];
  /** Copies on a thread of its own; by default records are copied on this one, to `store`. */
  readonly startCopier?: (spool: { readonly dir: string; readonly logId: string }) => Copier;
}

/** Share of the quota from which on shipped segments go before their age. */
const wantedShare = 0.5;
/** Segments in a full quota, at least: room is freed a segment at a time, and the one being written stays. */
const segmentsInQuotaMin = 8;
/** How long closing waits for a disk that hangs. */
const closeFlushMs = 1_000;

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
  /** Resolves once the database holds what is synced by now; where it is away or slow, all the same within `withinMs`. */
  caughtUp(withinMs: number): Promise<void>;
  /** Empties what these keys opened in the spool's files; resolves with how many records it was. */
  shred(keys: readonly string[]): Promise<number>;
  /** The spool's records that `shred` would empty, but for those of these numbers. */
  sealedUnder: Spool["sealedUnder"];
  /**
   * Syncs what was appended, and `closing` as the log's last record; ships what is left and releases the spool. A log
   * that cannot be closed with its record is closed without.
   */
  close(closing?: RecordDraft): Promise<void>;
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
        shipper?.wake(spool.awaitsCopy());
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
  const jump = await findJumpAtStart(clock, dir, spool.opened);
  if (jump !== undefined) record(jump);
  const stopClockWatch = watchClock({ clock, record });
  const stopDescriptorWatch = watchDescriptors({ clock, log, record });
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
      store: deps.store.audit,
      witnessed: deps.witnessed,
    });
    await evidence.begin(spool.opened.lastSeq, deps.life);
  }
  const store = deps.store.audit;
  const syncedSeq = () => spool.status().syncedSeq;
  const catchingUp = createCatchingUp({ shipper: () => shipper, syncedSeq });
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
    syncedSeq,
    record,
    remove: spool.remove,
    shipped: (seq) => {
      spool.noteCopied(seq);
      catchingUp.noteCopied(seq);
    },
    neededAboveSeq,
    excessBytes,
  });
  const shippedSeq = () => shipper?.shippedSeq() ?? 0;
  metrics.gauge("mcp_gateway_audit_spool_bytes", () => spool.status().spoolBytes);
  metrics.gauge("mcp_gateway_audit_backlog", () => syncedSeq() - shippedSeq());
  return {
    died: spool.died,
    evidence,
    append,
    flush: spool.flush,
    caughtUp: catchingUp.wait,
    shred: spool.shred,
    sealedUnder: spool.sealedUnder,
    tail: tail.listen,
    status: () => ({ logId, shippedSeq: shippedSeq(), ...spool.status() }),
    close,
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
    const refusal = refusalOf(draft);
    if (refusal === undefined) return spool.append(draft, level);
    metrics.count("mcp_gateway_audit_failures_total", { class: draft.class });
    return Promise.reject(unavailable(refusal));
  }

  /** Nothing is done whose record is known beforehand not to become what its class asks for. */
  function refusalOf(draft: RecordDraft): string | undefined {
    if (evidence?.refuses(draft)) return "nothing-is-signed";
    // A+ is answered from the database.
    const isAct = draft.class === "A+" && !closesIntent(draft);
    return isAct && shipper?.isAway() === true ? "copy-away" : undefined;
  }

  async function close(closing?: RecordDraft): Promise<void> {
    stopClockWatch();
    stopDescriptorWatch();
    await Promise.race([spool.flush(), Bun.sleep(closeFlushMs)]);
    if (closing !== undefined) {
      await spool.conclude(closing).catch((cause: unknown) => {
        // With the disk full or the spool's thread gone, the rest is closed all the same.
        log.error("audit.not_concluded", { event: closing.event, reason: String(cause) });
      });
    }
    await evidence?.close(spool.status().syncedSeq);
    await shipper?.stop();
    await copier.close();
    await spool.close();
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
    // What was never acknowledged is no damage, and is left where it is.
    const event = kind === "torn" ? "audit.gap" : "integrity.violation";
    record({ ...own, event, facts: { kind, segment: name, from, to } });
  }
}
