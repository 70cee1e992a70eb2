/**
 * Gathers what changed for a short while and then tells each thing once, the latest of it: a server that sends
 * thousands of notifications a second costs its listeners one message a window, and a change that arrives twice while
 * one listen replaces another is told once. `changes.ts` puts in and delivers.
 */
import type { ServerChange } from "../client.ts";
import { type Topic, topicOf } from "./topics.ts";

export interface Coalescer {
  add(change: ServerChange): void;
  /** True where this topic waits already, or there is room for one more. */
  hasRoom(topic: Topic): boolean;
  /** What still waits is never told. */
  close(): void;
}

export function createCoalescer(options: {
  readonly windowMs: number;
  /** Beyond so many topics a window there is no room. */
  readonly topicsMax: number;
  readonly deliver: (change: ServerChange) => void;
}): Coalescer {
  let waiting = new Map<Topic, ServerChange>();
  let isClosed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    const told = waiting;
    waiting = new Map();
    timer = undefined;
    for (const change of told.values()) options.deliver(change);
  }

  return {
    add(change) {
      if (isClosed) return;
      waiting.set(topicOf(change), change);
      timer ??= setTimeout(flush, options.windowMs);
    },
    hasRoom: (topic) => waiting.size < options.topicsMax || waiting.has(topic),
    close() {
      isClosed = true;
      clearTimeout(timer);
      waiting.clear();
    },
  };
}
