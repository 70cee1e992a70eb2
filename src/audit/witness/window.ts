/**
 * The window in which a cut of the log could go unseen: for each witness, the records after the last checkpoint it
 * remembers, and since when there are any. That is the age of the oldest of them, and not of the checkpoint: one
 * that was signed late covers only what is older still. Nothing recorded since is no window. Pure but for its memory.
 */
import type { WitnessStatus } from "./rounds.ts";

export interface UnwitnessedWindow {
  readonly records: number;
  readonly seconds: number;
}

export interface Windows {
  /** To be told now and then, as the age of a record is known no better than by that. */
  note(status: Pick<WitnessStatus, "name" | "size">, syncedSeq: number): void;
  of(name: string, syncedSeq: number): UnwitnessedWindow;
}

/** When the log ended with a record, the latest time for each. */
interface Mark {
  readonly syncedSeq: number;
  readonly atMs: number;
}

/** Marks kept while a witness is away; of more, each second one goes. */
const marksMax = 4096;

export function createWindows(nowMs: () => number): Windows {
  const sizes = new Map<string, number>();
  let marks: Mark[] = [{ syncedSeq: 0, atMs: nowMs() }];

  function mark(syncedSeq: number): void {
    const least = Math.min(...sizes.values());
    const needed = marks.findLastIndex((one) => one.syncedSeq <= least);
    if (needed > 0) marks.splice(0, needed);
    while ((marks.at(-1)?.syncedSeq ?? -1) >= syncedSeq) marks.pop();
    marks.push({ syncedSeq, atMs: nowMs() });
    if (marks.length > marksMax) marks = marks.filter((_, at) => at % 2 === 0);
  }

  return {
    note({ name, size }, syncedSeq) {
      sizes.set(name, size);
      mark(syncedSeq);
    },
    of(name, syncedSeq) {
      const size = sizes.get(name) ?? 0;
      const records = Math.max(0, syncedSeq - size);
      const coveredAtMs = marks.findLast((one) => one.syncedSeq <= size)?.atMs;
      if (records === 0) return { records, seconds: 0 };
      return {
        records,
        seconds: Math.max(0, nowMs() - (coveredAtMs ?? marks[0]?.atMs ?? 0)) / 1000,
      };
    },
  };
}
