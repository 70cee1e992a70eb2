/**
 * The root key and the KEKs under it: makes keys, wraps them for the store and opens what the store holds. The only
 * place that holds the root. Used by `vault.ts`.
 */
import { createHmac, randomBytes } from "node:crypto";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { deriveKey, keyBytes } from "./labels.ts";
import type { KeyPurpose, RewrappedKey, StoredKey, VaultStore } from "./store.ts";
import { unwrapKey, wrapKey } from "./wrapping.ts";

/** Whose key: `name` is a subject's, or that of a class and its month. */
export interface KeyOwner {
  readonly purpose: KeyPurpose;
  readonly tenant: string;
  readonly name: string;
}

export interface OpenKey {
  readonly id: string;
  readonly key: Buffer;
}

export interface KeyRing {
  /** What an owner stands as in the store. */
  ownerOf(owner: KeyOwner): string;
  /** The owner's active key, made where there is none. */
  activeKey(owner: KeyOwner, label: string): Promise<OpenKey>;
  /** A new key for an owner, wrapped, not stored yet. */
  make(owner: KeyOwner, label: string): { readonly stored: StoredKey; readonly key: Buffer };
  /** Throws where the stored key does not open: it was changed, or is another vault's. */
  open(stored: StoredKey): Promise<Buffer>;
  /** The same key under the active KEK, for `VaultStore.rewrap`. */
  rewrap(stored: StoredKey): Promise<RewrappedKey>;
  /** Reads the KEKs again: another node, or a rotation here, made a new one or destroyed one. */
  refresh(): Promise<void>;
  /** Zeroes what it holds. */
  close(): void;
}

const kekOwner: KeyOwner = { purpose: "kek", tenant: "", name: "" };
const kekEpochsMax = 10_000;

export interface KeyRingDeps {
  readonly store: VaultStore;
  /** 32 bytes, from now on the ring's. */
  readonly root: Buffer;
  /** For messages: where the root lies. */
  readonly rootPath: string;
  readonly clock: Clock;
}

/** Reads the KEKs, or makes the first. Rejects where they are under another root than this one. */
export async function openKeyRing(deps: KeyRingDeps): Promise<KeyRing> {
  const { store, root, rootPath, clock } = deps;
  const ownerKey = deriveKey(root, "owner", Buffer.alloc(0));
  const keks = new Map<number, Buffer>();
  let activeEpoch = 0;

  function ownerOf({ purpose, tenant, name }: KeyOwner): string {
    const text = `${purpose}\n${Buffer.byteLength(tenant)}\n${tenant}\n${name}`;
    return createHmac("sha256", ownerKey).update(text).digest("hex");
  }

  async function readKeks(): Promise<void> {
    const found = await store.list("kek", kekEpochsMax);
    for (const stored of found) {
      if (stored.wrapped === null) {
        keks.get(stored.epoch)?.fill(0);
        keks.delete(stored.epoch);
        continue;
      }
      if (!keks.has(stored.epoch)) keks.set(stored.epoch, openKek(stored));
      if (stored.state === "active") activeEpoch = stored.epoch;
    }
  }

  function openKek(stored: StoredKey): Buffer {
    const key = unwrapKey(root, stored, stored.wrapped ?? "");
    if (key !== undefined) return key;
    throw new GatewayError(
      "internal",
      `the key vault (${store.description.location}) does not open with ${rootPath}: nodes that share a vault share ` +
        "one root key, so copy that file or name it in vault.key_file",
    );
  }

  function make(owner: KeyOwner, label: string) {
    const id = randomBytes(8).toString("hex");
    const key = randomBytes(keyBytes);
    const epoch = owner.purpose === "kek" ? activeEpoch + 1 : activeEpoch;
    const place = { purpose: owner.purpose, id, epoch };
    const under = owner.purpose === "kek" ? root : keks.get(epoch);
    if (under === undefined) throw new GatewayError("internal", "the key vault has no active KEK");
    const stored: StoredKey = {
      ...place,
      tenant: owner.tenant,
      label,
      owner: ownerOf(owner),
      wrapped: wrapKey(under, place, key),
      state: "active",
      createdAtMs: clock.nowMs(),
      destroyedAtMs: null,
    };
    return { stored, key };
  }

  async function activeKey(owner: KeyOwner, label: string): Promise<OpenKey> {
    const [found] = await store.active([ownerOf(owner)]);
    if (found !== undefined) return { id: found.id, key: await open(found) };
    const made = make(owner, label);
    const standing = await store.insertOrRead(made.stored);
    if (standing.id === made.stored.id) return { id: standing.id, key: made.key };
    made.key.fill(0);
    return { id: standing.id, key: await open(standing) };
  }

  async function open(stored: StoredKey): Promise<Buffer> {
    // Another node may have moved on to a new KEK.
    if (!keks.has(stored.epoch)) await readKeks();
    const under = keks.get(stored.epoch);
    const key = under && unwrapKey(under, stored, stored.wrapped ?? "");
    if (key !== undefined) return key;
    const message = `key ${stored.id} of the key vault does not open: it was changed, or is another vault's`;
    throw new GatewayError("internal", message);
  }

  async function rewrap(stored: StoredKey): Promise<RewrappedKey> {
    const key = await open(stored);
    const under = keks.get(activeEpoch);
    if (under === undefined) throw new GatewayError("internal", "the key vault has no active KEK");
    const { purpose, id } = stored;
    const wrapped = wrapKey(under, { purpose, id, epoch: activeEpoch }, key);
    key.fill(0);
    return { id, fromEpoch: stored.epoch, epoch: activeEpoch, wrapped };
  }

  await readKeks();
  if (activeEpoch === 0) {
    const { stored, key } = make(kekOwner, "1");
    key.fill(0);
    await store.insertOrRead(stored);
    await readKeks();
  }
  return {
    ownerOf,
    activeKey,
    make,
    open,
    rewrap,
    refresh: readKeks,
    close() {
      for (const key of [root, ownerKey, ...keks.values()]) key.fill(0);
      keks.clear();
    },
  };
}
