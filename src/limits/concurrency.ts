/**
 * Caps the calls in flight, for each caller and in all. Called by the rate-limit stage, which gives the place back
 * on the way out. Beyond a cap a call is refused, or waits its turn where a queue is configured: `waiting-line.ts`.
 * Holds an entry only for callers with a call in flight, so its size is bounded by the total.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { CancelSignal } from "../lib/cancellation.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createWaitingLine, type WaitingLine } from "./waiting-line.ts";

export interface ConcurrencyDeps {
  /** Calls in flight for one caller, where it has no cap of its own. */
  readonly perClientMax: number;
  /** Calls in flight in all; beyond it the gateway answers `overloaded`. */
  readonly totalMax: number;
  readonly metrics: Pick<Metrics, "count">;
  /** Calls that may wait for a place, all callers together. Default 0: none waits. */
  readonly queueMax?: number;
  /** Longest one waits. Default 1 s. */
  readonly queueWaitMs?: number;
}

export type Admission =
  | { readonly allowed: true; readonly release: () => void }
  | { readonly allowed: false; readonly fault: Fault };

export interface Concurrency {
  /** Takes a place; `release` gives it back and may be called more than once. Never waits. */
  enter(clientKey: string, clientMax?: number): Admission;
  /** The same, waiting for a place where a queue is configured; a promise only where it waits. */
  enterOrWait(
    clientKey: string,
    clientMax: number,
    signal: CancelSignal,
  ): Admission | Promise<Admission>;
  inFlight(): number;
  waiting(): number;
}

/** How long to wait is unknown, since places free up as calls end; a second is polite. */
const retryAfterMs = 1000;

export function createConcurrency(deps: ConcurrencyDeps): Concurrency {
  const { perClientMax, totalMax, metrics, queueMax = 0, queueWaitMs = 1000 } = deps;
  const counts = new Map<string, number>();
  let total = 0;
  let shed = 0;
  const line: WaitingLine<Admission> = createWaitingLine({ placesMax: queueMax, queueWaitMs });

  function hasPlace(clientKey: string, clientMax: number): boolean {
    return total < totalMax && (counts.get(clientKey) ?? 0) < clientMax;
  }

  function take(clientKey: string): Admission {
    counts.set(clientKey, (counts.get(clientKey) ?? 0) + 1);
    total += 1;
    let held = true;
    return {
      allowed: true,
      release() {
        if (held) leave(clientKey);
        held = false;
      },
    };
  }

  function leave(clientKey: string): void {
    const wasFull = total >= totalMax;
    const left = (counts.get(clientKey) ?? 1) - 1;
    if (left > 0) counts.set(clientKey, left);
    else counts.delete(clientKey);
    total -= 1;
    if (line.size() === 0) return;
    // While there was room in all, everybody who waits waits for a place of their own: only this caller has a new one.
    if (wasFull) line.admit(() => total < totalMax, hasPlace, take);
    else line.admitOf(clientKey, hasPlace, take);
  }

  function refuse(clientKey: string, clientMax: number): Admission {
    const isOwn = (counts.get(clientKey) ?? 0) >= clientMax;
    const fault = isOwn ? tooMany(clientMax) : overloaded();
    metrics.count("mcp_gateway_rate_limited_total", { limit: fault.name });
    return { allowed: false, fault };
  }

  /** Spread over two seconds, so that all who are sent away in one instant do not come back in one. */
  function overloaded(): Fault {
    shed += 1;
    const spreadMs = Math.floor((shed * 0.618_033_988_75 * 2000) % 2000);
    return createFault("overloaded", "Overloaded", { retryAfterMs: retryAfterMs + spreadMs });
  }

  return {
    enter(clientKey, clientMax = perClientMax) {
      return hasPlace(clientKey, clientMax) ? take(clientKey) : refuse(clientKey, clientMax);
    },
    enterOrWait(clientKey, clientMax, signal) {
      if (hasPlace(clientKey, clientMax)) return take(clientKey);
      if (queueMax === 0) return refuse(clientKey, clientMax);
      return line.wait({
        key: clientKey,
        max: clientMax,
        signal,
        refuse: () => refuse(clientKey, clientMax),
        cancelled: () => ({ allowed: false, fault: createFault("cancelled", "Cancelled") }),
      });
    },
    inFlight: () => total,
    waiting: () => line.size(),
  };
}

function tooMany(limit: number): Fault {
  const message = `At most ${limit} requests may be in flight at once`;
  return createFault("too-many-in-flight", message, { retryAfterMs, data: { maxInFlight: limit } });
}
