/**
 * A VaultStore in memory for tests of what stands on it; `isDown` makes every call fail like a lost database. Asserts
 * nothing.
 */
import { StoreError } from "../../src/storage/store.ts";
import type { StoredKey, VaultStore } from "../../src/vault/store.ts";
import { createMemorySweeps } from "./memory-sweeps.ts";

export interface MemoryVaultStore extends VaultStore {
  readonly keys: Map<string, StoredKey>;
  isDown: boolean;
  /** Calls so far. */
  asked: number;
}

export function createMemoryVaultStore(): MemoryVaultStore {
  const keys = new Map<string, StoredKey>();
  const all = () => {
    store.asked += 1;
    if (store.isDown) throw new StoreError("unavailable", "the vault is away");
    return [...keys.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  };
  const activeOf = (owner: string | null) =>
    all().find((key) => key.owner === owner && key.state === "active");
  const change = (id: string, to: Partial<StoredKey>) => {
    const key = keys.get(id);
    if (key !== undefined) keys.set(id, { ...key, ...to });
  };
  const store: MemoryVaultStore = {
    keys,
    isDown: false,
    asked: 0,
    sweeps: createMemorySweeps(),
    description: { kind: "sqlite", location: "memory" },
    insertOrRead: async (key) => {
      const standing = activeOf(key.owner);
      if (standing === undefined) keys.set(key.id, key);
      return standing ?? key;
    },
    active: async (owners) =>
      all().filter((key) => key.state === "active" && owners.includes(key.owner ?? "")),
    ofOwner: async (owner) => all().filter((key) => key.owner === owner),
    byIds: async (ids) => all().filter((key) => ids.includes(key.id)),
    list: async (purpose, limit) =>
      all()
        .filter((key) => key.purpose === purpose)
        .slice(0, limit),
    listUnderOlder: async (epoch, { after = { epoch: 0, id: "" }, limit }) =>
      all()
        .filter((key) => key.purpose !== "kek" && key.wrapped !== null && key.epoch < epoch)
        .toSorted((a, b) => a.epoch - b.epoch)
        .filter(
          (key) => key.epoch > after.epoch || (key.epoch === after.epoch && key.id > after.id),
        )
        .slice(0, limit),
    rewrap: async (rewrapped) => {
      const found = all();
      const moved = rewrapped.filter(({ id, fromEpoch }) =>
        found.some((key) => key.id === id && key.epoch === fromEpoch && key.wrapped !== null),
      );
      for (const { id, epoch, wrapped } of moved) change(id, { epoch, wrapped });
      return moved.length;
    },
    succeed: async (id, next) => {
      if (all().find((key) => key.id === id)?.state !== "active") return false;
      change(id, { state: "decrypt-only" });
      keys.set(next.id, next);
      return true;
    },
    destroy: async (ids, nowMs) => {
      const found = all().filter((key) => ids.includes(key.id) && key.state !== "destroyed");
      const gone = {
        state: "destroyed",
        owner: null,
        wrapped: null,
        destroyedAtMs: nowMs,
      } as const;
      for (const { id } of found) change(id, gone);
      return found.map(({ id }) => id);
    },
    ping: async () => void all(),
    close: async () => {},
  };
  return store;
}
