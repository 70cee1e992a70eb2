/**
 * Who waits for which record, and how far it has come: posted, written, synced, copied. Settles each caller when its
 * level is reached, or refuses it when its deadline passes or the disk fails. Used by `spool.ts` alone, which talks to the
 * thread and tells this what it said.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { renderDraft } from "../envelope.ts";
import type { DurabilityLevel, RecordDraft, RecordRef } from "../record.ts";
import { createBatches } from "./batches.ts";
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

export function createSpoolCallers(deps: SpoolCallersDeps): SpoolCallers {
  const { logId, clock, options } = deps;
  const unnumbered: RecordRef = Object.freeze({ logId, seq: 0 });
  const batches = createBatches<Entry>({ ...deps, recordsMax: options.batchRecordsMax });
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
    const rendered = renderDraft(draft, options.recordBytesMax);
    batches.add(renderLines(markOf(draft, level), pair, rendered), entry);
    progress.add();
    if (level === "queued") return Promise.resolve(unnumbered);
    sweepTimer ??= setTimeout(sweep, options.deadlineMs);
    return new Promise((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
  }

  function noteWritten(firstSeq: number): void {
    const entries = batches.takeOldest();
    entries.forEach((entry, index) => {
      entry.seq = firstSeq + index;
      if (entry.isRefused) deps.standsRefused(entry.draft, entry.seq);
      else if (entry.level === "written") settle(entry);
    });
    undurable.push({ lastSeq: firstSeq + entries.length - 1, entries });
    batches.advance();
  }

  function noteUnwritten(reason: string): readonly RecordDraft[] {
    const entries = batches.takeOldest();
    refuseEach(entries, reason);
    batches.advance();
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
    const groups = [...undurable.splice(0).map((group) => group.entries), ...batches.all()];
    batches.clear();
    for (const entry of uncopied.splice(0)) refuse(entry, reason);
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
      ...batches.all(),
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
    retire: batches.retire,
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
      batches.stop();
    },
  };
}

/** The refusal of a caller whose record cannot be made durable. */
export function unavailable(reason: string): GatewayError {
  const message = "The call could not be recorded, so it is refused.";
  return new GatewayError("audit-unavailable", message, { reason });
}

function ignore(): void {}
