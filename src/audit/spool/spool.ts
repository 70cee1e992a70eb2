/**
 * The calling thread's side of the spool: admits or refuses a record, posts it with others in one message and listens
 * to what the spool's thread says of it. On every call's path, so it does nothing else; numbering, hashing and the disk
 * belong to that thread. Who waits for what is in `callers.ts`, what is owed after a failure in `gaps.ts`.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { SealingKeys } from "../../vault/keys.ts";
import type { DurabilityLevel, RecordDraft, RecordRef } from "../record.ts";
import { admit } from "./admission.ts";
import { createAppender } from "./appender.ts";
import { createSpoolCallers, unavailable } from "./callers.ts";
import { closesIntent, createSpoolGaps } from "./gaps.ts";
import type { FromSpool, Written } from "./messages.ts";
import type { SpoolOptions } from "./options.ts";
import { createShredding, type Shredding } from "./shredding.ts";
import { type StartSpoolThread, startSpoolThread } from "./thread.ts";
import { createTrouble } from "./trouble.ts";

/** How long closing waits for a disk that hangs. */
const closeTimeoutMs = 5_000;

export interface SpoolDeps {
  readonly dir: string;
  readonly logId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "observe">;
  readonly options: SpoolOptions;
  readonly keys: Pick<SealingKeys, "pairFor" | "listen">;
  /** Called after each sync, and never before. */
  readonly synced: (seq: number, frames: readonly Uint8Array[] | undefined) => void;
  readonly startThread?: StartSpoolThread;
}

export interface Spool {
  readonly opened: FromSpool & { readonly kind: "opened" };
  /** Resolves with the reason where the thread died: nothing can be recorded any more. */
  readonly died: Promise<string>;
  append(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef>;
  /** Appends the log's last record: nothing is taken after it. */
  conclude(draft: RecordDraft): Promise<RecordRef>;
  flush(): Promise<void>;
  /** The database holds everything up to `seq`. */
  noteCopied(seq: number): void;
  /** Whether somebody waits for the database. */
  awaitsCopy(): boolean;
  /** Deletes a shipped segment. */
  remove(firstSeq: number): void;
  /** Empties the sealed parts that these keys opened, in all segments; resolves with how many. */
  shred(keys: readonly string[]): Promise<number>;
  /** A page of the records that shredding would empty. */
  sealedUnder: Shredding["sealedUnder"];
  tail(on: boolean): void;
  status(): {
    readonly syncedSeq: number;
    readonly spoolBytes: number;
    readonly writable: boolean;
    readonly dropped: number;
  };
  close(): Promise<void>;
}

/** Opens the spool on its own thread; rejects where it cannot be used (locked, not private, unreadable). */
export async function openSpool(deps: SpoolDeps): Promise<Spool> {
  const { clock, log, metrics, options, logId } = deps;
  let spoolBytes = 0;
  let syncedSeq = 0;
  let failure: string | undefined;
  let isDiskFailing = false;
  let isClosing = false;
  let isConcluded = false;

  const callers = createSpoolCallers({
    logId,
    clock,
    options,
    post: (batch) => thread.post(batch),
    retired: (ref) => thread.post({ kind: "forget", ref }),
    refused: (draft) => metrics.count("mcp_gateway_audit_failures_total", { class: draft.class }),
    standsRefused: closeRefusedIntent,
  });
  const appender = createAppender({
    keys: deps.keys,
    clock,
    metrics,
    options,
    callers,
    refused: refuseAtOnce,
    append,
  });
  const gaps = createSpoolGaps({ clock, probeIntervalMs: options.probeIntervalMs, append });
  const shredding = createShredding((request) => thread.post(request));
  const trouble = createTrouble({ clock, log, ...options, record: recordOwn });
  const opening = Promise.withResolvers<FromSpool & { readonly kind: "opened" }>();
  const closed = Promise.withResolvers<void>();
  const death = Promise.withResolvers<string>();
  const thread = (deps.startThread ?? startSpoolThread)({ received, died });
  thread.post({
    kind: "open",
    dir: deps.dir,
    logId,
    options: {
      segmentBytesMax: options.segmentBytesMax,
      reserveBytesMax: options.reserveBytesMax,
      probeIntervalMs: options.probeIntervalMs,
    },
  });
  const openTimer = setTimeout(() => {
    thread.terminate();
    opening.reject(
      new Error("the spool's thread did not start; the build must list src/audit/spool/worker.ts"),
    );
  }, options.openTimeoutMs);
  const opened = await opening.promise.finally(() => clearTimeout(openTimer));
  const { noteCopied, awaitsCopy } = callers;
  const { shred, sealedUnder } = shredding;
  const tell = { remove, shred, sealedUnder, tail, noteCopied };
  deps.keys.listen({
    paired: (pair) => thread.post({ kind: "pair", pair }),
    forgotten: callers.retire,
    indexed: (index) => thread.post({ kind: "index", index }),
  });
  return {
    opened,
    died: death.promise,
    append,
    conclude,
    flush: appender.flush,
    awaitsCopy,
    ...tell,
    status,
    close,
  };

  function append(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef> {
    const refusal = admit({
      class: draft.class,
      used: spoolBytes / options.spoolBytesMax,
      queued: (callers.waiting() + appender.waitingForKeys()) / options.queueRecordsMax,
      failure: isClosing || isConcluded ? "closing" : failure,
      isDiskFull: trouble.isDiskFull(),
      closesIntent: closesIntent(draft),
    });
    if (refusal !== undefined) return refuseAtOnce(draft, refusal);
    return appender.add(draft, level);
  }

  function conclude(draft: RecordDraft): Promise<RecordRef> {
    const concluded = append(draft, "synced");
    isConcluded = true;
    gaps.stop();
    return concluded;
  }

  /** What is to be said of the disk itself goes past admission: the room kept is for this too. */
  function recordOwn(draft: RecordDraft): void {
    if (failure === undefined && !isClosing && !isConcluded)
      appender.add(draft, "queued").catch(ignore);
  }

  function refuseAtOnce(draft: RecordDraft, reason: string): Promise<RecordRef> {
    if (draft.class === "C") {
      drop();
      return Promise.resolve(callers.unnumbered);
    }
    metrics.count("mcp_gateway_audit_failures_total", { class: draft.class });
    return Promise.reject(unavailable(reason));
  }

  function drop(): void {
    gaps.noteDropped();
    metrics.count("mcp_gateway_audit_dropped_total");
  }

  function received(message: FromSpool): void {
    switch (message.kind) {
      case "opened":
        spoolBytes = message.spoolBytes;
        syncedSeq = message.lastSeq;
        opening.resolve(message);
        return;
      case "not-opened":
        thread.terminate();
        opening.reject(new Error(message.message));
        return;
      case "written":
        noteWritten(message);
        return;
      case "unwritten":
        noteUnwritten(message.reason);
        return;
      case "synced":
        noteSynced(message);
        return;
      case "room":
        trouble.noteRoom(message.isFull, message.reason);
        return;
      case "unsynced":
        gaps.noteRefused(callers.noteUnsynced(message.seq, message.reason), message.reason, false);
        trouble.noteUnsynced(message.seq, message.reason);
        return;
      case "removed":
        spoolBytes = message.spoolBytes;
        return;
      case "not-removed":
        log.warn("audit.segment_not_removed", { seq: message.firstSeq, reason: message.reason });
        return;
      case "shredded":
      case "not-shredded":
      case "looked":
      case "not-looked":
        shredding.answered(message);
        return;
      case "closed":
        closed.resolve();
        return;
      default:
        message satisfies never;
    }
  }

  function noteWritten({ firstSeq }: Written): void {
    isDiskFailing = false;
    gaps.noteTaken();
    callers.noteWritten(firstSeq);
  }

  function noteUnwritten(reason: string): void {
    isDiskFailing = true;
    const drafts = callers.noteUnwritten(reason);
    log.error("audit.unwritten", { reason, records: drafts.length });
    for (const draft of drafts) if (draft.class === "C") drop();
    gaps.noteRefused(drafts, reason, true);
  }

  function noteSynced(message: FromSpool & { readonly kind: "synced" }): void {
    if (message.written !== undefined) noteWritten(message.written);
    spoolBytes = message.spoolBytes;
    syncedSeq = Math.max(syncedSeq, message.seq);
    metrics.observe("mcp_gateway_audit_sync_seconds", message.seconds);
    callers.noteSynced(message.seq);
    trouble.noteSynced(message.seconds);
    trouble.noteBytes(spoolBytes);
    deps.synced(message.seq, message.frames);
    gaps.reportDropped();
  }

  /** The call behind a refused intent was not made; without this its record would stay open for ever. */
  function closeRefusedIntent(draft: RecordDraft, seq: number): void {
    if (draft.event !== "call.intent") return;
    const facts = { ...draft.facts, intent: seq, status: "not_executed" };
    const outcome = { ...draft, event: "call.outcome", timeMs: clock.nowMs(), facts } as const;
    recordOwn(outcome);
  }

  function died(reason: string): void {
    failure = "thread-died";
    log.error("audit.thread_died", { reason });
    opening.reject(new Error(`the spool's thread died: ${reason}`));
    closed.resolve();
    shredding.end(failure);
    gaps.stop();
    callers.refuseAll(failure);
    death.resolve(reason);
  }

  function remove(firstSeq: number): void {
    thread.post({ kind: "remove", firstSeq });
  }

  function tail(on: boolean): void {
    thread.post({ kind: "tail", on });
  }

  function status() {
    const isFull = spoolBytes >= options.spoolBytesMax;
    const takes = failure === undefined && !isClosing && !isDiskFailing;
    const writable = takes && !isFull && !trouble.isDiskFull();
    return { syncedSeq, spoolBytes, writable, dropped: gaps.dropped() };
  }

  async function close(): Promise<void> {
    if (isClosing) return closed.promise;
    isClosing = true;
    shredding.end("closing");
    gaps.stop();
    const timeout = setTimeout(closed.resolve, closeTimeoutMs);
    await Promise.race([appender.flush(), closed.promise]);
    if (failure === undefined) thread.post({ kind: "close" });
    await closed.promise;
    clearTimeout(timeout);
    callers.stop();
    thread.terminate();
  }
}

function ignore(): void {}
