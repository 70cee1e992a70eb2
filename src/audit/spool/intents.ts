/**
 * Which calls are under way, by the numbers of their intents. Every segment's header carries them, so recovery can
 * close those of a crash without reading older segments. Used by the writer.
 */
import type { BatchRecord } from "./messages.ts";

export interface OpenIntents {
  /** Takes note of records written from `firstSeq` on. */
  note(records: readonly BatchRecord[], firstSeq: number): void;
  list(): readonly number[];
}

export function createOpenIntents(initial: readonly number[]): OpenIntents {
  const open = new Set(initial);
  return {
    note: (records, firstSeq) => {
      records.forEach(({ opensIntent, closesIntent }, index) => {
        if (opensIntent) open.add(firstSeq + index);
        else if (closesIntent !== undefined) open.delete(closesIntent);
      });
    },
    list: () => [...open],
  };
}
