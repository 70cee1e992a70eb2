/**
 * The one mutable reference to the state being served. `admin/change-state` swaps it after a write, `followStore`
 * after another process wrote; every call reads it once, at its start.
 */
import { GatewayError } from "../errors/fault.ts";
import type { ResourceStore } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import { buildSnapshot, type CompilePolicy } from "./build.ts";
import type { CurrentSnapshot, Snapshot } from "./snapshot.ts";

export interface SwappableSnapshot extends CurrentSnapshot {
  /** Serves `next` from now on, unless what is served is as new or newer. Returns whether it swapped. */
  swap(next: Snapshot): boolean;
  /** Says whether what is served may still decide; see `freshness.ts`. */
  setFresh(isFresh: boolean): void;
}

export function createCurrentSnapshot(initial: Snapshot): SwappableSnapshot {
  let current = initial;
  let isFresh = true;
  const listeners = new Set<(next: Snapshot, previous: Snapshot) => void>();
  return {
    get: () => current,
    isFresh: () => isFresh,
    setFresh(now) {
      isFresh = now;
    },
    subscribe(changed) {
      // A wrapper, so the same function may subscribe twice and stop each independently.
      const listener = (next: Snapshot, previous: Snapshot) => changed(next, previous);
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    swap(next) {
      if (next.stateRevision <= current.stateRevision) return false;
      const previous = current;
      current = next;
      for (const listener of [...listeners]) listener(next, previous);
      return true;
    },
  };
}

export interface FollowStoreDeps {
  readonly store: ResourceStore;
  readonly current: SwappableSnapshot;
  readonly compile: CompilePolicy;
  readonly log: Log;
}

export interface StoreFollower {
  /** Reloads now; resolves once what the store held is served, or was refused and logged. */
  reload(): Promise<void>;
  stop(): void;
}

/** Reloads when another process wrote. One reload runs at a time; notices meanwhile become one more. */
export function followStore(deps: FollowStoreDeps): StoreFollower {
  let running: Promise<void> | undefined;
  let again = false;
  const run = async (): Promise<void> => {
    do {
      again = false;
      await reloadOnce(deps);
    } while (again);
    running = undefined;
  };
  const reload = (): Promise<void> => {
    if (running !== undefined) again = true;
    running ??= run();
    return running;
  };
  const unwatch = deps.store.watch((stateRevision) => {
    if (stateRevision > deps.current.get().stateRevision) void reload();
  });
  return { reload, stop: unwatch };
}

/** Keeps what is served where the store cannot be read or holds something invalid: old policy stays on error. */
async function reloadOnce({ store, current, compile, log }: FollowStoreDeps): Promise<void> {
  try {
    const { stateRevision, resources } = await store.load();
    if (stateRevision <= current.get().stateRevision) return;
    current.swap(buildSnapshot(stateRevision, resources, compile));
    log.info("state.reloaded", { stateRevision });
  } catch (error) {
    const reason = error instanceof GatewayError ? error.fault.message : String(error);
    log.error("state.reload_failed", { reason, serving: current.get().stateRevision });
  }
}
