/**
 * The calling thread's side of the spool: admits or refuses a record, renders it, posts it with others in one
 * message and settles its caller when the level is reached, or when the deadline passes. On every call's path, so it
 * does nothing else; numbering, hashing and the disk belong to the spool's thread.
 *
 * Batches clock themselves: at most two are under way, and what arrives meanwhile forms the next.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { renderDraft } from "./envelope.ts";
import type { DurabilityLevel, RecordDraft, RecordRef } from "./record.ts";
import { admit } from "./spool-admission.ts";
import { type FromSpool, type RecordMark, renderLines } from "./spool-messages.ts";
import { type StartSpoolThread, startSpoolThread } from "./spool-thread.ts";

export interface SpoolOptions {
  /** How long an append may take to reach its level. */
  readonly deadlineMs: number;
  readonly segmentBytesMax: number;
  /** Quota: class C is shed at 80 %, B refused at 95 %, A at 100 %. */
  readonly spoolBytesMax: number;
  /** Records accepted and not yet synced. */
  readonly queueRecordsMax: number;
  /** Facts and details above this are kept with their texts shortened. */
  readonly recordBytesMax: number;
  readonly batchRecordsMax: number;
  /** How often a disk that refused records is tried again. */
  readonly probeIntervalMs: number;
  /** How long the thread may take to start and recover the spool. */
  readonly openTimeoutMs: number;
}

export const defaultSpoolOptions: SpoolOptions = {
  deadlineMs: 1000,
  segmentBytesMax: 64 * 1024 * 1024,
  spoolBytesMax: 1024 * 1024 * 1024,
  queueRecordsMax: 65_536,
  recordBytesMax: 16 * 1024,
  batchRecordsMax: 1024,
  probeIntervalMs: 500,
  openTimeoutMs: 30_000,
};

export interface SpoolDeps {
  readonly dir: string;
  readonly logId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "observe">;
  readonly options: SpoolOptions;
  /** Called after each sync, and never before. */
  readonly synced: (seq: number, frames: readonly Uint8Array[] | undefined) => void;
  /** Called where the thread died: nothing can be recorded any more. */
  readonly died?: (reason: string) => void;
  readonly startThread?: StartSpoolThread;
}

export interface Spool {
  readonly opened: FromSpool & { readonly kind: "opened" };
  append(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef>;
  flush(): Promise<void>;
  /** Deletes a shipped segment. */
  remove(firstSeq: number): void;
  tail(on: boolean): void;
  status(): {
    readonly syncedSeq: number;
    readonly spoolBytes: number;
    readonly writable: boolean;
    readonly dropped: number;
  };
  close(): Promise<void>;
}

interface Entry {
  readonly draft: RecordDraft;
  readonly level: DurabilityLevel;
  readonly untilMs: number;
  resolve: (ref: RecordRef) => void;
  reject: (error: GatewayError) => void;
  seq: number;
  isSettled: boolean;
  isRefused: boolean;
}

interface Group {
  readonly lastSeq: number;
  readonly entries: readonly Entry[];
}

const batchesInFlightMax = 2;
/** How long a batch may wait for the callers that were there a moment ago. */
const gatherMs = 1;

/** Opens the spool on its own thread; rejects where it cannot be used (locked, not private, unreadable). */
export async function openSpool(deps: SpoolDeps): Promise<Spool> {
  const { clock, log, metrics, options, logId } = deps;
  /** What a caller gets who did not wait for a number. */
  const unnumbered: RecordRef = Object.freeze({ logId, seq: 0 });

  let pendingLines: string[] = [];
  let pending: Entry[] = [];
  let isSendScheduled = false;
  let gatherTimer: ReturnType<typeof setTimeout> | undefined;
  let lastBatchRecords = 0;
  const sent: (readonly Entry[])[] = [];
  const undurable: Group[] = [];
  let flushes: { readonly untilAppended: number; readonly resolve: () => void }[] = [];
  let sweepTimer: ReturnType<typeof setTimeout> | undefined;

  let appended = 0;
  let finished = 0;
  let dropped = 0;
  let droppedReported = 0;
  let spoolBytes = 0;
  let syncedSeq = 0;
  let failure: string | undefined;
  let isDiskFailing = false;
  /** Records the disk refused, not yet told in a gap record. */
  let unwritten = 0;
  let unwrittenReason = "";
  let probeTimer: ReturnType<typeof setTimeout> | undefined;
  /** Outcomes of calls that were made, which the disk refused. */
  const owed: RecordDraft[] = [];
  let isClosing = false;

  const opening = Promise.withResolvers<FromSpool & { readonly kind: "opened" }>();
  const closed = Promise.withResolvers<void>();
  const thread = (deps.startThread ?? startSpoolThread)({ received, died });
  thread.post({
    kind: "open",
    dir: deps.dir,
    logId,
    options: { segmentBytesMax: options.segmentBytesMax },
  });
  const openTimer = setTimeout(() => {
    thread.terminate();
    opening.reject(
      new Error("the spool's thread did not start; the build must list src/audit/spool-worker.ts"),
    );
  }, options.openTimeoutMs);
  const opened = await opening.promise.finally(() => clearTimeout(openTimer));
  return { opened, append, flush, remove, tail, status, close };

  function append(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef> {
    const refusal = admit({
      class: draft.class,
      used: spoolBytes / options.spoolBytesMax,
      queued: (appended - finished) / options.queueRecordsMax,
      failure: isClosing ? "closing" : failure,
      closesIntent: draft.event === "call.outcome" && draft.facts.intent !== undefined,
    });
    if (refusal !== undefined) return refuseAtOnce(draft, refusal);
    metrics.count("mcp_gateway_audit_records_total", { class: draft.class });
    const entry: Entry = {
      draft,
      level,
      untilMs: clock.monotonicMs() + options.deadlineMs,
      resolve: ignore,
      reject: ignore,
      seq: 0,
      isSettled: level === "queued",
      isRefused: false,
    };
    const mark = markOf(draft, level);
    pendingLines.push(renderLines(mark, renderDraft(draft, options.recordBytesMax)));
    pending.push(entry);
    appended += 1;
    scheduleSend();
    if (level === "queued") return Promise.resolve(unnumbered);
    sweepTimer ??= setTimeout(sweep, options.deadlineMs);
    return new Promise((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
  }

  function refuseAtOnce(draft: RecordDraft, reason: string): Promise<RecordRef> {
    if (draft.class === "C") {
      drop();
      return Promise.resolve(unnumbered);
    }
    metrics.count("mcp_gateway_audit_failures_total", { class: draft.class });
    return Promise.reject(unavailable(reason));
  }

  function drop(): void {
    dropped += 1;
    metrics.count("mcp_gateway_audit_dropped_total");
  }

  /**
   * A batch leaves at the end of the turn of the event loop in which it became as large as the one before, or a
   * moment later: many callers at once share a message and a sync, and one caller alone never waits.
   */
  function scheduleSend(): void {
    if (isSendScheduled || pending.length === 0 || sent.length >= batchesInFlightMax) return;
    if (pending.length < lastBatchRecords) {
      gatherTimer ??= setTimeout(send, gatherMs);
      return;
    }
    isSendScheduled = true;
    setImmediate(send);
  }

  function send(): void {
    clearTimeout(gatherTimer);
    gatherTimer = undefined;
    isSendScheduled = false;
    if (pending.length === 0 || sent.length >= batchesInFlightMax) return;
    const max = options.batchRecordsMax;
    const entries = pending.length <= max ? pending : pending.slice(0, max);
    const lines = pending.length <= max ? pendingLines : pendingLines.slice(0, max);
    pending = pending.length <= max ? [] : pending.slice(max);
    pendingLines = pendingLines.length <= max ? [] : pendingLines.slice(max);
    lastBatchRecords = entries.length;
    sent.push(entries);
    thread.post(lines.join("\n"));
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
        noteWritten(message.firstSeq);
        return;
      case "unwritten":
        noteUnwritten(message.reason);
        return;
      case "synced":
        noteSynced(message);
        return;
      case "unsynced":
        noteUnsynced(message.seq, message.reason);
        return;
      case "removed":
        spoolBytes = message.spoolBytes;
        return;
      case "not-removed":
        log.warn("audit.segment_not_removed", { seq: message.firstSeq, reason: message.reason });
        return;
      case "closed":
        closed.resolve();
        return;
      default:
        message satisfies never;
    }
  }

  function noteWritten(firstSeq: number): void {
    if (isDiskFailing) {
      isDiskFailing = false;
      clearTimeout(probeTimer);
      queueMicrotask(probeDisk);
    }
    const entries = sent.shift() ?? [];
    entries.forEach((entry, index) => {
      entry.seq = firstSeq + index;
      if (entry.isRefused) closeRefusedIntent(entry);
      else if (entry.level === "written") settle(entry);
    });
    undurable.push({ lastSeq: firstSeq + entries.length - 1, entries });
    scheduleSend();
  }

  function noteUnwritten(reason: string): void {
    isDiskFailing = true;
    const entries = sent.shift() ?? [];
    log.error("audit.unwritten", { reason, records: entries.length });
    for (const entry of entries) {
      if (entry.draft.class === "C" && !entry.isRefused) drop();
      if (entry.draft.event === "call.outcome" && entry.draft.facts.intent !== undefined) {
        owed.push(entry.draft);
      }
      refuse(entry, reason);
    }
    noteRefusedByDisk(entries, reason);
    finish(entries.length);
    scheduleSend();
  }

  function noteSynced(message: FromSpool & { readonly kind: "synced" }): void {
    spoolBytes = message.spoolBytes;
    syncedSeq = Math.max(syncedSeq, message.seq);
    metrics.observe("mcp_gateway_audit_sync_seconds", message.seconds);
    for (const group of takeGroups(message.seq)) {
      for (const entry of group.entries) if (!entry.isSettled) settle(entry);
      finish(group.entries.length);
    }
    deps.synced(message.seq, message.frames);
    reportGap();
  }

  function noteUnsynced(seq: number, reason: string): void {
    log.error("audit.unsynced", { reason, seq });
    for (const group of takeGroups(seq)) {
      for (const entry of group.entries) refuse(entry, reason);
      noteRefusedByDisk(group.entries, reason);
      finish(group.entries.length);
    }
  }

  function noteRefusedByDisk(entries: readonly Entry[], reason: string): void {
    unwritten += entries.filter((entry) => entry.draft.event !== "audit.gap").length;
    unwrittenReason = reason;
    probeTimer ??= setTimeout(probeDisk, options.probeIntervalMs);
  }

  /**
   * Says what the disk refused as soon as it takes anything again. Tries by itself, because a gateway that says it is
   * not ready is sent no call to find out with.
   */
  function probeDisk(): void {
    probeTimer = undefined;
    if (unwritten === 0 || failure !== undefined || isClosing) return;
    const told = unwritten;
    const facts = { unwritten: told, reason: unwrittenReason };
    const gap = {
      event: "audit.gap",
      class: "A",
      timeMs: clock.nowMs(),
      facts,
      details: {},
    } as const;
    append(gap, "written").then(
      () => {
        unwritten -= told;
        for (const draft of owed.splice(0)) append(draft, "queued").catch(ignore);
      },
      () => {
        probeTimer ??= setTimeout(probeDisk, options.probeIntervalMs);
      },
    );
  }

  function takeGroups(seq: number): readonly Group[] {
    const count = undurable.findIndex((group) => group.lastSeq > seq);
    return undurable.splice(0, count === -1 ? undurable.length : count);
  }

  function settle(entry: Entry): void {
    entry.isSettled = true;
    entry.resolve({ logId, seq: entry.seq });
  }

  function refuse(entry: Entry, reason: string): void {
    if (entry.isSettled) return;
    entry.isSettled = true;
    if (entry.draft.class === "C") {
      entry.resolve(unnumbered);
      return;
    }
    entry.isRefused = true;
    metrics.count("mcp_gateway_audit_failures_total", { class: entry.draft.class });
    entry.reject(unavailable(reason));
    if (entry.seq > 0) closeRefusedIntent(entry);
  }

  /** The call behind a refused intent was not made; without this its record would stay open for ever. */
  function closeRefusedIntent(entry: Entry): void {
    const { draft, seq } = entry;
    if (draft.event !== "call.intent" || failure !== undefined || isClosing) return;
    const facts = { ...draft.facts, intent: seq, status: "not_executed" };
    const outcome = { ...draft, event: "call.outcome", timeMs: clock.nowMs(), facts } as const;
    append(outcome, "queued").catch(ignore);
  }

  function finish(count: number): void {
    finished += count;
    flushes = flushes.filter((one) => {
      if (finished < one.untilAppended) return true;
      one.resolve();
      return false;
    });
  }

  function reportGap(): void {
    if (dropped === droppedReported || isClosing) return;
    const facts = { dropped: dropped - droppedReported };
    const gap = {
      event: "audit.gap",
      class: "B",
      timeMs: clock.nowMs(),
      facts,
      details: {},
    } as const;
    const reported = dropped;
    append(gap, "queued").then(() => {
      droppedReported = reported;
    }, ignore);
  }

  /** One timer for all deadlines: entries wait in the order of their deadlines. */
  function sweep(): void {
    sweepTimer = undefined;
    const nowMs = clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    const waiting = [...undurable.map((group) => group.entries), ...sent, pending];
    for (const entries of waiting) {
      for (const entry of entries) {
        if (entry.isSettled) continue;
        if (entry.untilMs <= nowMs) refuse(entry, "deadline");
        else nextMs = Math.min(nextMs, entry.untilMs);
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY) sweepTimer = setTimeout(sweep, nextMs - nowMs + 1);
  }

  function flush(): Promise<void> {
    if (finished >= appended) return Promise.resolve();
    return new Promise((resolve) => flushes.push({ untilAppended: appended, resolve }));
  }

  function died(reason: string): void {
    failure = "thread-died";
    log.error("audit.thread_died", { reason });
    opening.reject(new Error(`the spool's thread died: ${reason}`));
    closed.resolve();
    const lost = [...undurable.splice(0).map((group) => group.entries), ...sent.splice(0), pending];
    pending = [];
    pendingLines = [];
    for (const entries of lost) {
      for (const entry of entries) refuse(entry, failure);
      finish(entries.length);
    }
    deps.died?.(reason);
  }

  function remove(firstSeq: number): void {
    thread.post({ kind: "remove", firstSeq });
  }

  function tail(on: boolean): void {
    thread.post({ kind: "tail", on });
  }

  function status() {
    const isFull = spoolBytes >= options.spoolBytesMax;
    const writable = failure === undefined && !isClosing && !isDiskFailing && !isFull;
    return { syncedSeq, spoolBytes, writable, dropped };
  }

  async function close(): Promise<void> {
    if (isClosing) return closed.promise;
    isClosing = true;
    const timeout = setTimeout(closed.resolve, options.deadlineMs);
    await Promise.race([flush(), closed.promise]);
    if (failure === undefined) thread.post({ kind: "close" });
    await closed.promise;
    clearTimeout(timeout);
    clearTimeout(sweepTimer);
    clearTimeout(probeTimer);
    thread.terminate();
  }
}

function markOf(draft: RecordDraft, level: DurabilityLevel): RecordMark {
  const urgency = level === "synced" ? "!" : "";
  if (draft.event === "call.intent") return `${urgency}i`;
  return typeof draft.facts.intent === "number" ? `${urgency}o${draft.facts.intent}` : urgency;
}

function unavailable(reason: string): GatewayError {
  return new GatewayError(
    "audit-unavailable",
    "The call could not be recorded, so it is refused.",
    {
      reason,
    },
  );
}

function ignore(): void {}
