/**
 * Records on their way to the spool's thread, many in one message. Batches clock themselves: at most two are under
 * way, and what arrives meanwhile forms the next. Used by `callers.ts`, whose entries travel beside the lines.
 */
import { type Later, realLater } from "../../lib/later.ts";

export interface Batches<Entry> {
  add(line: string, entry: Entry): void;
  /** Calls back once no batch to come names the pair of keys. */
  retire(pair: number): void;
  /** The oldest batch under way is done with: its entries. */
  takeOldest(): readonly Entry[];
  /** Sends what waits, where there is a place now. */
  advance(): void;
  /** Entries under way and waiting, in the order in which they were added. */
  all(): readonly (readonly Entry[])[];
  /** Forgets all of them. */
  clear(): void;
  stop(): void;
}

const batchesInFlightMax = 2;
/** How long a batch may wait for the callers that were there a moment ago. */
const gatherMs = 1;
/** Fewer callers than this are not waited for: what gathering them saves is less than what it delays. */
const crowdMin = 8;

export function createBatches<Entry>(deps: {
  readonly recordsMax: number;
  readonly post: (batch: string) => void;
  readonly retired: (pair: number) => void;
  readonly later?: Later;
}): Batches<Entry> {
  const { recordsMax, later = realLater } = deps;
  let lines: string[] = [];
  let pending: Entry[] = [];
  let isSendScheduled = false;
  let cancelGathering: (() => undefined) | undefined;
  let lastBatchRecords = 0;
  let retiring: number[] = [];
  let sent: (readonly Entry[])[] = [];

  function add(line: string, entry: Entry): void {
    lines.push(line);
    pending.push(entry);
    advance();
  }

  /**
   * A batch leaves at the end of the turn of the event loop, or after a crowd when it became as large as the one before
   * or a moment later: many callers at once share a message and a sync, and few never wait.
   */
  function advance(): void {
    if (isSendScheduled || pending.length === 0 || sent.length >= batchesInFlightMax) return;
    if (lastBatchRecords >= crowdMin && pending.length < lastBatchRecords) {
      cancelGathering ??= later(gatherMs, send);
      return;
    }
    isSendScheduled = true;
    setImmediate(send);
  }

  function send(): void {
    cancelGathering = cancelGathering?.();
    isSendScheduled = false;
    if (pending.length === 0 || sent.length >= batchesInFlightMax) return;
    const isWhole = pending.length <= recordsMax;
    const entries = isWhole ? pending : pending.slice(0, recordsMax);
    const batch = isWhole ? lines : lines.slice(0, recordsMax);
    pending = isWhole ? [] : pending.slice(recordsMax);
    lines = isWhole ? [] : lines.slice(recordsMax);
    lastBatchRecords = entries.length;
    sent.push(entries);
    deps.post(batch.join("\n"));
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

  function clear(): void {
    sent = [];
    pending = [];
    lines = [];
  }

  return {
    add,
    retire,
    takeOldest: () => sent.shift() ?? [],
    advance,
    all: () => [...sent, pending],
    clear,
    stop: () => void cancelGathering?.(),
  };
}
