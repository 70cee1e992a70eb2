/**
 * Who waits for which record, and how far it has come: posted, written, synced, copied. Settles each caller when its
 * level is reached, or refuses it when its deadline passes or the disk fails. Used by `spool.ts` alone, which talks to the
 * thread and tells this what it said.
 *
 * Batches clock themselves: at most two are under way, and what arrives meanwhile forms the next.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { renderDraft } from "../envelope.ts";
import type { DurabilityLevel, RecordDraft, RecordRef } from "../record.ts";
import { markOf, renderLines } from "./messages.ts";
import { createProgress } from "./progress.ts";

export interface SpoolCallersOptions {
  readonly deadlineMs: number;
  readonly recordBytesMax: number;
  readonly batchRecordsMax: number;
}

export interface SpoolCallersDeps {
  readonly logId: string;
  readonly clock: Clock;
  readonly options: SpoolCallersOptions;
  readonly post: (batch: string) => void;
  /** No batch posted from now on names the pair. */
  readonly retired: (pair: number) => void;
  /** A caller of class A or B was refused. */
  readonly refused: (draft: RecordDraft) => void;
  /** A record stands in the log although its caller was refused. */
  readonly standsRefused: (draft: RecordDraft, seq: number) => void;
}

export interface SpoolCallers {
  /** What a caller gets who did not wait for a number. */
  readonly unnumbered: RecordRef;
  /** `pair` is the reference of the keys for its values, 0 for none; `untilMs` is when it is given up. */
  add(
    draft: RecordDraft,
    level: DurabilityLevel,
    pair: number,
    untilMs: number,
  ): Promise<RecordRef>;
  /** Calls back once no batch to come names the pair. */
  retire(pair: number): void;
  /** Records not yet synced or given up. */
  waiting(): number;
  /** Resolves when everything added so far is synced or given up. */
  flush(): Promise<void>;
  noteWritten(firstSeq: number): void;
  noteSynced(seq: number): void;
  /** The database holds everything up to `seq`. */
  noteCopied(seq: number): void;
  /** Whether somebody waits for the database. */
  awaitsCopy(): boolean;
  /** These two return the drafts that were refused. */
  noteUnwritten(reason: string): readonly RecordDraft[];
  noteUnsynced(seq: number, reason: string): readonly RecordDraft[];
  refuseAll(reason: string): void;
  stop(): void;
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

export function createSpoolCallers(deps: SpoolCallersDeps): SpoolCallers {
  const { logId, clock, options } = deps;
  const unnumbered: RecordRef = Object.freeze({ logId, seq: 0 });
  let pendingLines: string[] = [];
  let pending: Entry[] = [];
  let isSendScheduled = false;
  let gatherTimer: ReturnType<typeof setTimeout> | undefined;
  let lastBatchRecords = 0;
  let retiring: number[] = [];
  const sent: (readonly Entry[])[] = [];
  const undurable: Group[] = [];
  /** Synced, and waited for until the database has them. */
  let uncopied: Entry[] = [];
  const progress = createProgress();
  let sweepTimer: ReturnType<typeof setTimeout> | undefined;

  function add(
    draft: RecordDraft,
    level: DurabilityLevel,
    pair: number,
    untilMs: number,
  ): Promise<RecordRef> {
    const entry: Entry = {
      draft,
      level,
      untilMs,
      resolve: ignore,
      reject: ignore,
      seq: 0,
      isSettled: level === "queued",
      isRefused: false,
    };
    pendingLines.push(
      renderLines(markOf(draft, level), pair, renderDraft(draft, options.recordBytesMax)),
    );
    pending.push(entry);
    progress.add();
    scheduleSend();
    if (level === "queued") return Promise.resolve(unnumbered);
    sweepTimer ??= setTimeout(sweep, options.deadlineMs);
    return new Promise((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
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
    deps.post(lines.join("\n"));
    if (pending.length === 0) releaseRetired();
  }

  function retire(pair: number): void {
    retiring.push(pair);
    // Not at once: a record that was just given the pair may be about to be added.
    setImmediate(() => {
      if (pending.length === 0) releaseRetired();
    });
  }

  function releaseRetired(): void {
    const released = retiring;
    retiring = [];
    for (const pair of released) deps.retired(pair);
  }

  function noteWritten(firstSeq: number): void {
    const entries = sent.shift() ?? [];
    entries.forEach((entry, index) => {
      entry.seq = firstSeq + index;
      if (entry.isRefused) deps.standsRefused(entry.draft, entry.seq);
      else if (entry.level === "written") settle(entry);
    });
    undurable.push({ lastSeq: firstSeq + entries.length - 1, entries });
    scheduleSend();
  }

  function noteUnwritten(reason: string): readonly RecordDraft[] {
    const entries = sent.shift() ?? [];
    refuseEach(entries, reason);
    scheduleSend();
    return entries.map((entry) => entry.draft);
  }

  function noteSynced(seq: number): void {
    for (const { entries } of takeGroups(seq)) {
      for (const entry of entries) {
        if (entry.isSettled) continue;
        if (entry.level === "copied") uncopied.push(entry);
        else settle(entry);
      }
      progress.finish(entries.length);
    }
  }

  function noteCopied(seq: number): void {
    if (uncopied.length === 0) return;
    for (const entry of uncopied) if (entry.seq <= seq && !entry.isSettled) settle(entry);
    uncopied = uncopied.filter((entry) => !entry.isSettled);
  }

  function noteUnsynced(seq: number, reason: string): readonly RecordDraft[] {
    const entries = takeGroups(seq).flatMap((group) => group.entries);
    refuseEach(entries, reason);
    return entries.map((entry) => entry.draft);
  }

  function refuseAll(reason: string): void {
    const groups = [
      ...undurable.splice(0).map((group) => group.entries),
      ...sent.splice(0),
      pending,
    ];
    for (const entry of uncopied.splice(0)) refuse(entry, reason);
    pending = [];
    pendingLines = [];
    for (const entries of groups) refuseEach(entries, reason);
  }

  function takeGroups(seq: number): readonly Group[] {
    const count = undurable.findIndex((group) => group.lastSeq > seq);
    return undurable.splice(0, count === -1 ? undurable.length : count);
  }

  function settle(entry: Entry): void {
    entry.isSettled = true;
    entry.resolve({ logId, seq: entry.seq });
  }

  function refuseEach(entries: readonly Entry[], reason: string): void {
    for (const entry of entries) refuse(entry, reason);
    progress.finish(entries.length);
  }

  function refuse(entry: Entry, reason: string): void {
    if (entry.isSettled) return;
    entry.isSettled = true;
    if (entry.draft.class === "C") {
      entry.resolve(unnumbered);
      return;
    }
    entry.isRefused = true;
    deps.refused(entry.draft);
    entry.reject(unavailable(reason));
    if (entry.seq > 0) deps.standsRefused(entry.draft, entry.seq);
  }

  /** One timer for all deadlines: entries wait in the order of their deadlines. */
  function sweep(): void {
    sweepTimer = undefined;
    const nowMs = clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entries of [
      ...undurable.map((group) => group.entries),
      ...sent,
      pending,
      uncopied,
    ]) {
      for (const entry of entries) {
        if (entry.isSettled) continue;
        if (entry.untilMs <= nowMs) refuse(entry, "deadline");
        else nextMs = Math.min(nextMs, entry.untilMs);
      }
    }
    uncopied = uncopied.filter((entry) => !entry.isSettled);
    if (nextMs !== Number.POSITIVE_INFINITY) sweepTimer = setTimeout(sweep, nextMs - nowMs + 1);
  }

  return {
    unnumbered,
    add,
    retire,
    waiting: progress.waiting,
    flush: progress.flush,
    noteWritten,
    noteSynced,
    noteCopied,
    awaitsCopy: () => uncopied.length > 0,
    noteUnwritten,
    noteUnsynced,
    refuseAll,
    stop: () => {
      clearTimeout(sweepTimer);
      clearTimeout(gatherTimer);
    },
  };
}

/** The refusal of a caller whose record cannot be made durable. */
export function unavailable(reason: string): GatewayError {
  const message = "The call could not be recorded, so it is refused.";
  return new GatewayError("audit-unavailable", message, { reason });
}

function ignore(): void {}
