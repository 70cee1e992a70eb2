/**
 * Calls that wait for their user to decide in a browser. What is decided on this node is told at once, what is decided on
 * another is looked up every second. Bounded: whoever finds no place does not wait.
 */
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Grant } from "./grant-shape.ts";

export type WaitEnd = "granted" | "denied" | "late";

export interface GrantWaits {
  decided(id: string, version: number, timeoutMs: number, signal: CancelSignal): Promise<WaitEnd>;
  end(id: string, how: WaitEnd): void;
}

const pollMs = 1_000;
const waitsMax = 1_000;
const waitsPerGrantMax = 8;

export function createGrantWaits(deps: {
  readonly read: (id: string) => Promise<Grant | undefined>;
  readonly clock: Clock;
}): GrantWaits {
  const { clock } = deps;
  const waiting = new Map<string, Set<(how: WaitEnd) => void>>();
  let count = 0;

  /** Resolves with how it ended, or undefined after the pause. */
  function pause(id: string, pauseMs: number, signal: CancelSignal): Promise<WaitEnd | undefined> {
    const { promise, resolve } = Promise.withResolvers<WaitEnd | undefined>();
    const abandon = () => resolve("late");
    const timer = setTimeout(resolve, pauseMs);
    const all = waiting.get(id) ?? new Set();
    waiting.set(id, all.add(resolve));
    signal.addEventListener("abort", abandon, { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abandon);
      all.delete(resolve);
      if (all.size === 0) waiting.delete(id);
    });
  }

  async function wait(
    id: string,
    version: number,
    timeoutMs: number,
    signal: CancelSignal,
  ): Promise<WaitEnd> {
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      const grant = await deps.read(id);
      if (grant !== undefined && grant.version > version) return "granted";
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0 || signal.aborted) return "late";
      const end = await pause(id, Math.min(pollMs, leftMs), signal);
      if (end !== undefined) return end;
    }
  }

  return {
    async decided(id, version, timeoutMs, signal) {
      if (count >= waitsMax || (waiting.get(id)?.size ?? 0) >= waitsPerGrantMax) return "late";
      count += 1;
      try {
        return await wait(id, version, timeoutMs, signal);
      } finally {
        count -= 1;
      }
    },
    end(id, how) {
      for (const told of waiting.get(id) ?? []) told(how);
    },
  };
}
