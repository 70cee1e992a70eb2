/**
 * The keys that seal people's values: one for each subject and one for each data class and month, both needed to open
 * anything. Finds them at once where they were used a moment ago, asks the store otherwise, and makes them where there
 * are none. Plain keys stay in this folder and in memory of a bounded size, zeroed when they leave it.
 *
 * What is in memory is asked about again after a while, in the background, so a store that is away is noticed by those
 * it knows only after `usableMs` (K-10), and a key that another node destroyed is not used for longer than that.
 */
import { LRUCache } from "lru-cache";
import { GatewayError } from "../errors/fault.ts";
import { createIndexKeys } from "./index-keys.ts";
import {
  type KeyOwner,
  type KeyRing,
  type KeyRingDeps,
  type OpenKey,
  openKeyRing,
} from "./key-ring.ts";
import type { OpeningKey, OpeningKeys, PairId, SealingKeys, SealingListener } from "./keys.ts";
import { deriveKey, keyBytes } from "./labels.ts";
import type { StoredKey, VaultStore } from "./store.ts";

export interface VaultOptions {
  /** Pairs, and single keys, held in memory. */
  readonly entriesMax: number;
  /** Age at which a key is asked about again. */
  readonly freshMs: number;
  /** Age from which a key is not used any more unless the store confirmed it. */
  readonly usableMs: number;
}

export const defaultVaultOptions: VaultOptions = {
  entriesMax: 10_000,
  freshMs: 5 * 60_000,
  usableMs: 15 * 60_000,
};

export interface VaultDeps extends KeyRingDeps {
  readonly options?: VaultOptions;
}

export interface Vault extends SealingKeys, OpeningKeys {
  readonly ring: KeyRing;
  readonly store: VaultStore;
  /** Every key of a subject, or of a class of data and month, that is not destroyed. */
  keysOf(owner: SubjectOwner | ClassOwner): Promise<readonly string[]>;
  /** Reads KEKs and index keys again, after a rotation here or on another node. */
  refresh(): Promise<void>;
  /** Drops keys from memory, and the pairs they are part of. */
  forget(ids: readonly string[]): void;
  /** Destroys keys in the store and forgets them; returns the ids that this call destroyed. */
  destroy(ids: readonly string[]): Promise<readonly string[]>;
  /** Round trip to the store, for readiness. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** `principal` is empty for nobody in particular. */
export interface SubjectOwner {
  readonly tenant: string;
  readonly principal: string;
}

/** `month` is such as `2026-11`. */
export interface ClassOwner {
  readonly tenant: string;
  readonly dataClass: string;
  readonly month: string;
}

interface Held {
  readonly ref: number;
  readonly subject: string;
  readonly class: string;
  /** When the store last said that the keys still are, and when it was last asked. */
  checkedMs: number;
  triedMs: number;
}

/** Pairs asked for at once: what more people bring while the store answers slowly is refused. */
const loadsMax = 1_000;
/** How soon a store that did not answer is asked again about a pair that is still usable. */
const retryMs = 5_000;

/** Opens the vault; rejects where its store cannot be reached or is under another root. */
export async function openVault(deps: VaultDeps): Promise<Vault> {
  const { store, clock } = deps;
  const options = deps.options ?? defaultVaultOptions;
  const ring = await openKeyRing(deps);
  let listener: SealingListener | undefined;
  let lastRef = 0;
  /** Goes up when keys are dropped because they are no more. */
  let forgotten = 0;
  const deks = new LRUCache<string, Buffer>({
    max: options.entriesMax,
    dispose: (key) => void key.fill(0),
  });
  const pairs = new LRUCache<string, Held>({
    max: options.entriesMax,
    dispose: ({ ref }) => listener?.forgotten(ref),
  });
  const loading = new Map<string, Promise<number>>();
  const index = await createIndexKeys({
    ring,
    store,
    clock,
    freshMs: options.freshMs,
    changed: (key) => listener?.indexed(key),
  });

  function pairFor(tenant: string, subject: string, dataClass: string, month: string) {
    // Lengths first: no two owners make the same text, whatever their names hold.
    const name = `${month}${dataClass.length}:${dataClass}${tenant.length}:${tenant}${subject}`;
    const held = pairs.get(name);
    const ask = () => loading.get(name) ?? startLoading(name, tenant, subject, dataClass, month);
    if (held === undefined) return ask();
    const nowMs = clock.monotonicMs();
    const ageMs = nowMs - held.checkedMs;
    if (ageMs < options.freshMs) return held.ref;
    if (ageMs >= options.usableMs) return ask();
    if (nowMs - held.triedMs >= retryMs) {
      held.triedMs = nowMs;
      ask();
    }
    return held.ref;
  }

  function startLoading(
    name: string,
    tenant: string,
    subject: string,
    dataClass: string,
    month: string,
  ): Promise<number> {
    if (loading.size >= loadsMax) return Promise.reject(tooMany());
    const load = loadPair(name, tenant, subject, className(dataClass, month)).finally(() =>
      loading.delete(name),
    );
    loading.set(name, load);
    // Whoever waits hears of it; in the background it is tried again with the next record.
    load.catch(() => {});
    return load;
  }

  async function loadPair(
    name: string,
    tenant: string,
    subject: string,
    dataClass: string,
  ): Promise<number> {
    const before = forgotten;
    const [subjectKey, classKey] = await Promise.all([
      ring.activeKey({ purpose: "subject", tenant, name: subject }, ""),
      ring.activeKey({ purpose: "class", tenant, name: dataClass }, dataClass),
      index.refresh(),
    ]);
    // What was read may have been destroyed since.
    if (before !== forgotten) return loadPair(name, tenant, subject, dataClass);
    const held = pairs.peek(name);
    if (held?.subject === subjectKey.id && held.class === classKey.id) {
      held.checkedMs = clock.monotonicMs();
      for (const { key } of [subjectKey, classKey]) key.fill(0);
      return held.ref;
    }
    return hold(name, subjectKey, classKey);
  }

  function hold(name: string, subject: OpenKey, classKey: OpenKey): number {
    lastRef += 1;
    const ref = lastRef;
    const ids = { ref, subject: subject.id, class: classKey.id };
    const key = derivePair(subject.key, classKey.key);
    keep(subject);
    keep(classKey);
    listener?.paired({ ...ids, key });
    key.fill(0);
    pairs.set(name, { ...ids, checkedMs: clock.monotonicMs(), triedMs: 0 });
    return ref;
  }

  function keep({ id, key }: OpenKey): void {
    if (deks.peek(id) === undefined) deks.set(id, key);
    else key.fill(0);
  }

  /** The store is asked each time whether the keys still are; only their unwrapping is spared. */
  async function openingKeys(asked: readonly PairId[]): Promise<readonly OpeningKey[]> {
    const ids = [...new Set(asked.flatMap((pair) => [pair.subject, pair.class]))];
    const found = new Map<string, StoredKey>();
    for (const stored of await store.byIds(ids)) found.set(stored.id, stored);
    const opened = new Map<string, Buffer>();
    for (const stored of found.values()) {
      if (stored.state !== "destroyed") opened.set(stored.id, await openDek(stored));
    }
    const keys = asked.map((pair): OpeningKey => {
      const parts = [found.get(pair.subject), found.get(pair.class)];
      if (parts.some((part) => part?.state === "destroyed")) return "destroyed";
      const [subject, classKey] = [opened.get(pair.subject), opened.get(pair.class)];
      return subject && classKey ? derivePair(subject, classKey) : "unknown";
    });
    for (const key of opened.values()) key.fill(0);
    return keys;
  }

  /** A copy, because what is in memory may be zeroed meanwhile. */
  async function openDek(stored: StoredKey): Promise<Buffer> {
    const known = deks.get(stored.id);
    if (known !== undefined) return Buffer.from(known);
    const before = forgotten;
    const key = await ring.open(stored);
    if (before === forgotten) keep({ id: stored.id, key: Buffer.from(key) });
    return key;
  }

  function forget(ids: readonly string[]): void {
    forgotten += 1;
    const gone = new Set(ids);
    for (const id of gone) deks.delete(id);
    for (const [name, held] of pairs.entries()) {
      if (gone.has(held.subject) || gone.has(held.class)) pairs.delete(name);
    }
  }

  return {
    ring,
    store,
    pairFor,
    listen(next) {
      // Pairs that another listener was told of are made anew.
      listener = undefined;
      pairs.clear();
      listener = next;
      index.tell();
    },
    openingKeys,
    indexKeys: index.live,
    async keysOf(owner) {
      const keyOwner: KeyOwner =
        "principal" in owner
          ? { purpose: "subject", tenant: owner.tenant, name: owner.principal }
          : {
              purpose: "class",
              tenant: owner.tenant,
              name: className(owner.dataClass, owner.month),
            };
      return (await store.ofOwner(ring.ownerOf(keyOwner))).map(({ id }) => id);
    },
    async refresh() {
      await ring.refresh();
      await index.read();
    },
    forget,
    async destroy(ids) {
      const destroyed = await store.destroy(ids, clock.nowMs());
      forget(ids);
      return destroyed;
    },
    ping: store.ping,
    async close() {
      listener = undefined;
      pairs.clear();
      deks.clear();
      index.close();
      ring.close();
      await store.close();
    },
  };
}

function tooMany(): GatewayError {
  return new GatewayError("overloaded", "The key vault is asked for too many keys at once");
}

function className(dataClass: string, month: string): string {
  return `${dataClass} ${month}`;
}

function derivePair(subject: Uint8Array, classKey: Uint8Array): Buffer {
  const both = Buffer.concat([subject, classKey], 2 * keyBytes);
  const key = deriveKey(both, "pair", Buffer.alloc(0));
  both.fill(0);
  return key;
}
