/**
 * The window in which a cut of the log could go unseen: for each witness, the records after the last checkpoint it
 * remembers, and since when there are any. Nothing recorded since is no window. Pure but for its memory.
 */
import type { WitnessStatus } from "./rounds.ts";

export interface UnwitnessedWindow {
  readonly records: number;
  readonly seconds: number;
}

export interface Windows {
  /** To be told now and then, so that a quiet hour before a record does not count. */
  note(status: Pick<WitnessStatus, "name" | "size" | "coveredAtMs">, syncedSeq: number): void;
  of(name: string, syncedSeq: number): UnwitnessedWindow;
}

export function createWindows(nowMs: () => number): Windows {
  const startedAtMs = nowMs();
  const known = new Map<string, { readonly size: number; readonly coveredAtMs: number }>();

  return {
    note({ name, size, coveredAtMs }, syncedSeq) {
      const before = known.get(name)?.coveredAtMs ?? startedAtMs;
      const isCovered = size >= syncedSeq;
      known.set(name, {
        size,
        coveredAtMs: isCovered ? nowMs() : Math.max(before, coveredAtMs),
      });
    },
    of(name, syncedSeq) {
      const { size, coveredAtMs } = known.get(name) ?? { size: 0, coveredAtMs: startedAtMs };
      const records = Math.max(0, syncedSeq - size);
      const seconds = records === 0 ? 0 : Math.max(0, nowMs() - coveredAtMs) / 1000;
      return { records, seconds };
    },
  };
}
