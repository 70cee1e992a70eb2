/**
 * Those who wait for a place in flight: a line for each caller, served in turn, so that one who sends a thousand calls
 * waits behind nobody else's first. Bounded in places and in time; who goes away leaves at once. Used by
 * `concurrency.ts` alone, which knows what a place is.
 */
import type { CancelSignal } from "../lib/cancellation.ts";

export interface WaitingLineDeps {
  /** Waiting at once, all callers together. */
  readonly placesMax: number;
  /** Longest one waits. */
  readonly queueWaitMs: number;
}

export interface Waiting<Answer> {
  readonly key: string;
  /** Most places its caller may hold. */
  readonly max: number;
  readonly signal: CancelSignal;
  /** What it is told where it waited in vain, or was pushed out of a full line. */
  readonly refuse: () => Answer;
  readonly cancelled: () => Answer;
}

type HasPlace = (key: string, max: number) => boolean;

export interface WaitingLine<Answer> {
  wait(one: Waiting<Answer>): Answer | Promise<Answer>;
  /** A place is free for whoever is next: as many as have one are let in. */
  admit(hasRoom: () => boolean, hasPlace: HasPlace, take: (key: string) => Answer): void;
  /** A place is free for this caller. */
  admitOf(key: string, hasPlace: HasPlace, take: (key: string) => Answer): void;
  size(): number;
}

interface Entry<Answer> {
  readonly asked: Waiting<Answer>;
  /** Ends the wait, once. */
  readonly end: (answer: Answer) => void;
}

export function createWaitingLine<Answer>(deps: WaitingLineDeps): WaitingLine<Answer> {
  const { placesMax, queueWaitMs } = deps;
  /** In the order of their turns: who was served goes to the end. */
  const lines = new Map<string, Entry<Answer>[]>();
  let size = 0;

  function remove(entry: Entry<Answer>): void {
    const { key } = entry.asked;
    const line = lines.get(key);
    const at = line?.indexOf(entry) ?? -1;
    if (line === undefined || at < 0) return;
    line.splice(at, 1);
    size -= 1;
    if (line.length === 0) lines.delete(key);
  }

  function serve(key: string, hasPlace: HasPlace, take: (key: string) => Answer): void {
    const line = lines.get(key);
    const first = line?.[0];
    if (line === undefined || first === undefined) return;
    if (!hasPlace(key, first.asked.max)) return;
    remove(first);
    if (lines.delete(key)) lines.set(key, line);
    first.end(take(key));
  }

  /** Makes room for a caller with fewer waiting: the last of the longest line goes. False = there is no such line. */
  function pushOut(ownWaiting: number): boolean {
    let longest: Entry<Answer>[] = [];
    for (const line of lines.values()) if (line.length > longest.length) longest = line;
    const last = longest.at(-1);
    if (last === undefined || longest.length <= ownWaiting + 1) return false;
    remove(last);
    last.end(last.asked.refuse());
    return true;
  }

  return {
    wait(asked) {
      const line = lines.get(asked.key) ?? [];
      if (asked.signal.aborted) return asked.cancelled();
      if (size >= placesMax && !pushOut(line.length)) return asked.refuse();
      const { promise, resolve } = Promise.withResolvers<Answer>();
      const entry: Entry<Answer> = {
        asked,
        end(answer) {
          clearTimeout(timer);
          asked.signal.removeEventListener("abort", cancel);
          resolve(answer);
        },
      };
      const giveUp = (answer: () => Answer): void => {
        remove(entry);
        entry.end(answer());
      };
      const cancel = (): void => giveUp(asked.cancelled);
      const timer = setTimeout(() => giveUp(asked.refuse), queueWaitMs);
      asked.signal.addEventListener("abort", cancel, { once: true });
      line.push(entry);
      lines.set(asked.key, line);
      size += 1;
      return promise;
    },
    admit(hasRoom, hasPlace, take) {
      // Who is served goes to the end of this very iteration, so it is their turn again after everybody else's.
      for (const key of lines.keys()) {
        if (!hasRoom()) return;
        serve(key, hasPlace, take);
      }
    },
    admitOf: serve,
    size: () => size,
  };
}
