/**
 * Caps the calls in flight, for each client and in all. Called by the rate-limit stage, which gives the place back
 * on the way out. Holds an entry only for clients with a call in flight, so its size is bounded by the total.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface ConcurrencyDeps {
  /** Calls in flight for one client, where it has no cap of its own. */
  readonly perClientMax: number;
  /** Calls in flight in all; beyond it the gateway answers `overloaded`. */
  readonly totalMax: number;
  readonly metrics: Pick<Metrics, "count">;
}

export type Admission =
  | { readonly allowed: true; readonly release: () => void }
  | { readonly allowed: false; readonly fault: Fault };

export interface Concurrency {
  /** Takes a place; `release` gives it back and may be called more than once. */
  enter(clientKey: string, clientMax?: number): Admission;
  inFlight(): number;
}

/** How long to wait is unknown, since places free up as calls end; a second is polite. */
const retryAfterMs = 1000;

export function createConcurrency(deps: ConcurrencyDeps): Concurrency {
  const { perClientMax, totalMax, metrics } = deps;
  const counts = new Map<string, number>();
  let total = 0;

  function leave(clientKey: string): void {
    const left = (counts.get(clientKey) ?? 1) - 1;
    if (left > 0) counts.set(clientKey, left);
    else counts.delete(clientKey);
    total -= 1;
  }

  function refuse(fault: Fault): Admission {
    metrics.count("mcp_gateway_rate_limited_total", { limit: fault.name });
    return { allowed: false, fault };
  }

  return {
    enter(clientKey, clientMax = perClientMax) {
      const running = counts.get(clientKey) ?? 0;
      if (running >= clientMax) return refuse(tooMany(clientMax));
      if (total >= totalMax)
        return refuse(createFault("overloaded", "Overloaded", { retryAfterMs }));
      counts.set(clientKey, running + 1);
      total += 1;
      let held = true;
      return {
        allowed: true,
        release() {
          if (held) leave(clientKey);
          held = false;
        },
      };
    },
    inFlight: () => total,
  };
}

function tooMany(limit: number): Fault {
  const message = `At most ${limit} requests may be in flight at once`;
  return createFault("too-many-in-flight", message, { retryAfterMs, data: { maxInFlight: limit } });
}
