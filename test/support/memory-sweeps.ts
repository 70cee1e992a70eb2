/** A SweepStore in memory. Asserts nothing. */
import type { Sweep, SweepStore } from "../../src/vault/sweeps.ts";

export interface MemorySweeps extends SweepStore {
  readonly sweeps: Map<string, Sweep>;
}

export function createMemorySweeps(): MemorySweeps {
  const sweeps = new Map<string, Sweep>();
  const nodes = new Map<string, number>();
  const swept = new Set<string>();
  return {
    sweeps,
    put: async (added) => {
      for (const sweep of added) sweeps.set(sweep.key, sweep);
    },
    list: async (limit, after) =>
      [...sweeps.values()]
        .filter(({ key }) => key > after)
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit),
    swept: async (keys, logId) => {
      for (const key of keys) swept.add(`${key} ${logId}`);
      return keys.filter((key) => [...nodes.keys()].every((log) => swept.has(`${key} ${log}`)));
    },
    sweptBy: async (keys, logId) => keys.filter((key) => swept.has(`${key} ${logId}`)),
    remove: async (keys) => {
      for (const key of keys) sweeps.delete(key);
    },
    noteAlive: async (logId, nowMs, { liveSinceMs, knownSinceMs }) => {
      for (const [log, seenMs] of nodes) if (seenMs < knownSinceMs) nodes.delete(log);
      nodes.set(logId, nowMs);
      const live = [...nodes].filter(([log, seenMs]) => log !== logId && seenMs >= liveSinceMs);
      return live.map(([log]) => log);
    },
    summary: async () => [],
    scrub: async () => {},
  };
}
