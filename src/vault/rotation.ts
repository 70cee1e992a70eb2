/**
 * New keys in place of old ones while everything goes on. A KEK's successor wraps what is made from now on; what lies
 * under the old one is wrapped anew in the background, key by key and never the records themselves (K-08), and once
 * nothing lies under it any more it is destroyed. An index key's successor makes the tokens from now on; the old one finds
 * what was recorded before, until no record holds a token of its time. What a crash interrupts goes on with the next run.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { KeyRing } from "./key-ring.ts";
import type { StoredKey, VaultStore } from "./store.ts";

export interface RotationDeps {
  readonly vault: {
    readonly ring: KeyRing;
    readonly store: VaultStore;
    /** Reads KEKs and index keys again. */
    refresh(): Promise<void>;
  };
  /** `AuditLog` fits. */
  readonly audit: {
    append(
      draft: {
        readonly event: "keys.rotated";
        readonly class: "A";
        readonly timeMs: number;
        readonly facts: Readonly<Record<string, string | number>>;
        readonly details: Readonly<Record<string, string>>;
      },
      level: "synced",
    ): Promise<unknown>;
  };
  /** The time of the oldest record that holds search tokens; undefined where none does. Rejects where nobody knows. */
  readonly oldestTokenMs: () => Promise<number | undefined>;
  readonly clock: Clock;
  readonly log: Log;
  /** How long an old key stays at least: nodes that share the vault hear of its successor in that time. */
  readonly retireAfterMs: number;
}

export interface Rotation {
  /** Goes over to a new key; resolves with its number, and how many keys are to be wrapped anew. */
  rotate(purpose: "kek" | "index"): Promise<{ readonly epoch: number; readonly rewraps: number }>;
  /** Goes on with what is to be done; what fails is left for the next time. */
  run(): Promise<void>;
}

/** Nodes that share a vault hear of a new key with their next look, and records may be late. */
export const defaultRetireAfterMs = 10 * 60_000;

const pageKeys = 200;
const keysOfPurposeMax = 10_000;

export function createRotation(deps: RotationDeps): Rotation {
  const { vault, audit, clock, log } = deps;
  const { ring, store } = vault;
  let running: Promise<void> = Promise.resolve();
  /** The run that comes after the one under way. */
  let waiting: Promise<void> | undefined;

  const rotate: Rotation["rotate"] = async (purpose) => {
    await vault.refresh();
    const keys = await store.list(purpose, keysOfPurposeMax);
    const active = keys.find((key) => key.state === "active");
    if (active === undefined) throw new GatewayError("internal", `there is no ${purpose} key`);
    if (keys.length >= keysOfPurposeMax) {
      throw new GatewayError("state-conflict", `There were ${keys.length} of them already.`);
    }
    const owner = { purpose, tenant: "", name: "" } as const;
    const next = ring.make(owner, "");
    next.key.fill(0);
    const isDone = await store.succeed(active.id, next.stored);
    if (!isDone) {
      throw new GatewayError("state-conflict", "Somebody else rotated this key just now.");
    }
    await vault.refresh();
    const epoch = purpose === "kek" ? next.stored.epoch : keys.length + 1;
    const rewraps = purpose === "kek" ? await countUnderOlder(next.stored.epoch) : 0;
    await tell({ purpose, key: next.stored.id, previous: active.id, epoch, state: "rotated" });
    void run();
    return { epoch, rewraps };
  };

  async function countUnderOlder(epoch: number): Promise<number> {
    let count = 0;
    for await (const page of pagesUnderOlder(epoch)) count += page.length;
    return count;
  }

  /** Pages go by epoch and id, so what leaves for another KEK meanwhile shifts nothing. */
  async function* pagesUnderOlder(epoch: number): AsyncGenerator<readonly StoredKey[]> {
    let page: readonly StoredKey[] = [];
    do {
      page = await store.listUnderOlder(epoch, { after: page.at(-1), limit: pageKeys });
      if (page.length > 0) yield page;
    } while (page.length === pageKeys);
  }

  /** Whoever asks while a run waits for the one before it is served by that one: rotations may outrun it. */
  function run(): Promise<void> {
    waiting ??= running.then(runOnce).catch((cause: unknown) => {
      log.warn("keys.rotation_not_finished", { reason: String(cause) });
    });
    running = waiting;
    return running;
  }

  async function runOnce(): Promise<void> {
    waiting = undefined;
    await finishKeks();
    await retireIndexKeys();
  }

  async function finishKeks(): Promise<void> {
    const keks = await store.list("kek", keysOfPurposeMax);
    const active = keks.find((key) => key.state === "active");
    const old = keks.filter((key) => key.state === "decrypt-only");
    if (active === undefined || old.length === 0) return;
    const rewrapped = await rewrapUnderOlder(active.epoch);
    if (rewrapped > 0) log.info("keys.rewrapped", { epoch: active.epoch, keys: rewrapped });
    for (const kek of old) {
      if (!isPastHold(successorOf(kek, keks))) continue;
      const left = await store.listUnderOlder(kek.epoch + 1, { limit: 1 });
      if (left.length === 0) await retire(kek);
    }
  }

  /** Of all old KEKs at once: looking under each would cost more with every rotation. */
  async function rewrapUnderOlder(epoch: number): Promise<number> {
    let rewrapped = 0;
    for await (const page of pagesUnderOlder(epoch)) {
      // Without those under another epoch, or destroyed, meanwhile: somebody was quicker.
      rewrapped += await store.rewrap(await Promise.all(page.map(ring.rewrap)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return rewrapped;
  }

  /** A token of an old key finds records that nobody could find otherwise: it stays as long as any of them does. */
  async function retireIndexKeys(): Promise<void> {
    const keys = await store.list("index", keysOfPurposeMax);
    const old = keys.filter((key) => key.state === "decrypt-only");
    if (old.length === 0) return;
    const oldestMs = (await deps.oldestTokenMs()) ?? Number.POSITIVE_INFINITY;
    for (const key of old) {
      const next = successorOf(key, keys);
      if (!isPastHold(next) || oldestMs < next + deps.retireAfterMs) continue;
      await retire(key);
    }
  }

  function isPastHold(succeededAtMs: number): boolean {
    return clock.nowMs() - succeededAtMs >= deps.retireAfterMs;
  }

  async function retire({ id, purpose, epoch }: StoredKey): Promise<void> {
    const [destroyed] = await store.destroy([id], clock.nowMs());
    await vault.refresh();
    if (destroyed !== undefined) await tell({ purpose, key: id, epoch, state: "retired" });
  }

  async function tell(facts: Readonly<Record<string, string | number>>): Promise<void> {
    const own = { event: "keys.rotated", class: "A", timeMs: clock.nowMs() } as const;
    await audit.append({ ...own, facts: { ...facts, status: "ok" }, details: {} }, "synced");
  }

  return { rotate, run };
}

/** When a key's successor was made. */
function successorOf(old: StoredKey, keys: readonly StoredKey[]): number {
  const later = keys.filter((key) => key.createdAtMs >= old.createdAtMs && key.id !== old.id);
  return Math.min(...later.map((key) => key.createdAtMs));
}
