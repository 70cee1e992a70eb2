/**
 * The keys that values are searched by: the active one makes tokens, older ones find what was recorded under them.
 * All of them are held in memory: there are few. Used by `vault.ts`.
 */
import type { Clock } from "../lib/clock.ts";
import type { KeyRing } from "./key-ring.ts";
import type { IndexKey } from "./keys.ts";
import type { StoredKey, VaultStore } from "./store.ts";

export interface IndexKeys {
  /** The active one first. Rejects where the store cannot be asked and what is known is too old. */
  live(): Promise<readonly IndexKey[]>;
  /** Asks the store again. */
  read(): Promise<void>;
  /** The same where the last time was long ago. */
  refresh(): Promise<void>;
  /** Tells of the active one. */
  tell(): void;
  close(): void;
}

/** As many as rotation lets there be: records under a key that is not known here could be neither found nor erased. */
const indexKeysMax = 10_000;

/** Reads the index keys, or makes the first. */
export async function createIndexKeys(deps: {
  readonly ring: KeyRing;
  readonly store: VaultStore;
  readonly clock: Clock;
  readonly freshMs: number;
  readonly changed: (active: IndexKey) => void;
}): Promise<IndexKeys> {
  const { ring, store, clock } = deps;
  let keys: readonly IndexKey[] = [];
  let readAtMs = 0;

  async function read(): Promise<void> {
    const found = await ring.activeKey({ purpose: "index", tenant: "", name: "" }, "");
    const active = keys.find(({ id }) => id === found.id) ?? found;
    if (active !== found) found.key.fill(0);
    const stored = await store.list("index", indexKeysMax);
    const older = stored.filter((one) => one.wrapped !== null && one.id !== active.id);
    const before = keys[0]?.id;
    const outdated = keys;
    keys = [active, ...(await Promise.all(older.map(openOnce)))];
    const kept = new Set(keys.map(({ key }) => key));
    for (const { key } of outdated) if (!kept.has(key)) key.fill(0);
    readAtMs = clock.monotonicMs();
    if (before !== active.id) tell();
  }

  /** What is in memory stays there as it is: somebody may be making tokens with it. */
  async function openOnce(one: StoredKey): Promise<IndexKey> {
    return keys.find(({ id }) => id === one.id) ?? { id: one.id, key: await ring.open(one) };
  }

  async function refresh(): Promise<void> {
    if (clock.monotonicMs() - readAtMs >= deps.freshMs) await read();
  }

  /** With a copy of the key: the listener's is another thread's. */
  function tell(): void {
    const [active] = keys;
    if (active !== undefined) deps.changed({ id: active.id, key: Uint8Array.from(active.key) });
  }

  await read();
  return {
    live: async () => {
      await refresh();
      return keys;
    },
    read,
    refresh,
    tell,
    close() {
      for (const { key } of keys) key.fill(0);
      keys = [];
    },
  };
}
