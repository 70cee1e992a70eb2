/** The vault over a store in memory: pairs, their age, who makes them, and what destroying a key means. */
import { describe, expect, test } from "bun:test";
import type { SealingPair } from "../../../src/vault/keys.ts";
import { defaultVaultOptions, openVault, type Vault } from "../../../src/vault/vault.ts";
import { createMemoryVaultStore, type MemoryVaultStore } from "../../support/memory-vault-store.ts";

const month = "2026-11";

async function open(store = createMemoryVaultStore(), more: { entriesMax?: number } = {}) {
  const clock = { ms: 1_000_000, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const vault = await openVault({
    store,
    root: Buffer.alloc(32, 1),
    rootPath: "/data/vault.key",
    clock,
    options: { ...defaultVaultOptions, ...more },
  });
  const pairs: SealingPair[] = [];
  const forgotten: number[] = [];
  const index: string[] = [];
  vault.listen({
    paired: (pair) => pairs.push({ ...pair, key: Uint8Array.from(pair.key) }),
    forgotten: (ref) => forgotten.push(ref),
    indexed: ({ id }) => index.push(id),
  });
  const keyOf = (ref: number) => Buffer.from(pairs.find((pair) => pair.ref === ref)?.key ?? []);
  return { vault, store, clock, pairs, forgotten, index, keyOf };
}

const minuteMs = 60_000;

async function refusal(work: unknown): Promise<string> {
  try {
    await work;
  } catch (error) {
    return String(error);
  }
  throw new Error("should have been refused");
}

async function ids(vault: Vault, subject: string) {
  const [id = ""] = await vault.keysOf({ tenant: "t", principal: subject });
  return id;
}

describe("pairs", () => {
  test("are asked for once, and then at hand; the thread is told before anybody may name one", async () => {
    const { vault, store, pairs } = await open();
    const asked = vault.pairFor("t", "ada", "INTERNAL", month);
    expect(vault.pairFor("t", "ada", "INTERNAL", month)).toBe(asked as Promise<number>);
    const ref = await asked;
    expect(pairs.map((pair) => pair.ref)).toEqual([ref]);
    const before = store.asked;
    expect(vault.pairFor("t", "ada", "INTERNAL", month)).toBe(ref);
    expect(store.asked).toBe(before);
  });

  test("AZ-17 differ by tenant, subject, class and month, however alike their names are", async () => {
    const { vault, pairs } = await open();
    const owners: readonly (readonly [string, string, string, string])[] = [
      ["", "ada", "INTERNAL", month],
      ["t", "ada", "INTERNAL", month],
      ["ta", "da", "INTERNAL", month],
      ["t", "bob", "INTERNAL", month],
      ["t", "ada", "PERSONAL", month],
      ["t", "ada", "INTERNAL", "2026-12"],
      ["t\0ada", "", "INTERNAL", month],
      ["", "t\0ada", "INTERNAL", month],
    ];
    for (const owner of owners) await vault.pairFor(...owner);
    expect(new Set(pairs.map((pair) => Buffer.from(pair.key).toString("hex"))).size).toBe(8);
  });

  test("K-10 with the vault away those at hand go on for 15 minutes, and new ones are refused", async () => {
    const { vault, store, clock } = await open();
    const ref = await vault.pairFor("t", "ada", "INTERNAL", month);
    store.isDown = true;
    expect(await refusal(vault.pairFor("t", "bob", "INTERNAL", month))).toContain("away");
    clock.ms += 14 * minuteMs;
    expect(vault.pairFor("t", "ada", "INTERNAL", month)).toBe(ref);
    clock.ms += minuteMs;
    expect(await refusal(vault.pairFor("t", "ada", "INTERNAL", month))).toContain("away");
    store.isDown = false;
    expect(await vault.pairFor("t", "ada", "INTERNAL", month)).toBe(ref);
  });

  test("the oldest of too many is forgotten, and its number never comes back", async () => {
    const { vault, forgotten } = await open(undefined, { entriesMax: 2 });
    const refs: number[] = [];
    for (const who of ["a", "b", "c", "a"]) refs.push(await vault.pairFor("t", who, "X", month));
    expect(refs).toEqual([1, 2, 3, 4]);
    expect(forgotten).toEqual([1, 2]);
  });

  test("K-10 a vault that is away is not asked about a pair at hand with every record", async () => {
    const { vault, store, clock } = await open();
    const ref = await vault.pairFor("t", "ada", "INTERNAL", month);
    store.isDown = true;
    clock.ms += 10 * minuteMs;
    const before = store.asked;
    for (let at = 0; at < 100; at += 1) {
      expect(vault.pairFor("t", "ada", "INTERNAL", month)).toBe(ref);
      await Promise.resolve();
    }
    expect(store.asked - before).toBeLessThan(10);
  });

  test("more people at once than a bound are refused, not queued", async () => {
    const { vault } = await open();
    const asked = Array.from({ length: 1_001 }, (_, at) =>
      vault.pairFor("t", `p${at}`, "X", month),
    );
    expect(await refusal(asked.pop())).toContain("too many keys at once");
    expect((await Promise.all(asked)).length).toBe(1_000);
  });

  test("two nodes that make one person's key at once end with the same", async () => {
    const store = createMemoryVaultStore();
    const [one, two] = [await open(store), await open(store)];
    const [first, second] = await Promise.all([
      one.vault.pairFor("t", "ada", "X", month),
      two.vault.pairFor("t", "ada", "X", month),
    ]);
    expect(one.keyOf(first)).toEqual(two.keyOf(second));
    expect(one.index).toEqual(two.index);
    expect([...store.keys.values()].filter((key) => key.state === "active")).toHaveLength(4);
  });
});

describe("what the store holds", () => {
  test("names nobody, and no key that is not wrapped", async () => {
    const { vault, store, pairs } = await open();
    await vault.pairFor("acme", "user:https://idp#ada", "PERSONAL", month);
    const text = JSON.stringify([...store.keys.values()]);
    expect(text).not.toContain("ada");
    expect(text).toContain("PERSONAL 2026-11");
    for (const { key } of pairs) {
      expect(text).not.toContain(Buffer.from(key).toString("base64").slice(0, 40));
    }
  });

  test("does not open under another root, and the refusal says what to do", async () => {
    const { store } = await open();
    const other = openVault({
      store,
      root: Buffer.alloc(32, 2),
      rootPath: "/data/vault.key",
      clock: { nowMs: () => 0, monotonicMs: () => 0 },
    });
    expect(await refusal(other)).toContain("nodes that share a vault share one root key");
  });

  test("K-01 a key row moved to another id does not open", async () => {
    const { vault, store } = await open();
    await vault.pairFor("t", "ada", "X", month);
    await vault.pairFor("t", "bob", "X", month);
    const [ada, bob] = [await ids(vault, "ada"), await ids(vault, "bob")];
    const [adas, bobs] = [store.keys.get(ada), store.keys.get(bob)];
    if (!adas || !bobs) throw new Error("no keys");
    store.keys.set(ada, { ...adas, wrapped: bobs.wrapped });
    const fresh = await open(store);
    expect(await refusal(fresh.vault.pairFor("t", "ada", "X", month))).toContain("was changed");
  });
});

describe("K-15 either key erases", () => {
  const cases: readonly (readonly ("subject" | "class")[])[] = [
    [],
    ["subject"],
    ["class"],
    ["subject", "class"],
  ];
  for (const gone of cases) {
    test(`destroyed: ${gone.join(" and ") || "neither"}`, async () => {
      const { vault, pairs, keyOf } = await open();
      const ref = await vault.pairFor("t", "ada", "X", month);
      const pair = pairs[0];
      if (pair === undefined) throw new Error("no pair");
      const [before] = await vault.openingKeys([pair]);
      expect(Buffer.from(before as Uint8Array)).toEqual(keyOf(ref));
      await vault.destroy(gone.map((purpose) => pair[purpose]));
      const [key] = await vault.openingKeys([pair]);
      if (gone.length === 0) expect(Buffer.from(key as Uint8Array)).toEqual(keyOf(ref));
      else expect(key).toBe("destroyed");
    });
  }

  test("another node opens nothing of a destroyed key from then on, whatever it has in memory", async () => {
    const store = createMemoryVaultStore();
    const [one, two] = [await open(store), await open(store)];
    await one.vault.pairFor("t", "ada", "X", month);
    const pair = one.pairs[0];
    if (pair === undefined) throw new Error("no pair");
    expect(typeof (await two.vault.openingKeys([pair]))[0]).toBe("object");
    await one.vault.destroy([pair.subject]);
    expect(await two.vault.openingKeys([pair])).toEqual(["destroyed"]);
  });

  test("K-15 whoever goes on gets a new key, also where the old one was just being read", async () => {
    const store = createMemoryVaultStore();
    const { vault, pairs, forgotten } = await open(store);
    const ref = await vault.pairFor("t", "ada", "X", month);
    const [first] = pairs;
    const other = vault.pairFor("t", "ada", "X", "2026-12");
    await vault.destroy([first?.subject ?? ""]);
    expect(forgotten).toEqual([ref]);
    const again = await vault.pairFor("t", "ada", "X", month);
    await other;
    const late = pairs.filter((pair) => pair.ref > ref);
    expect(again).toBeGreaterThan(ref);
    expect(late.map((pair) => pair.subject)).not.toContain(first?.subject);
    expect(new Set(late.map((pair) => pair.subject)).size).toBe(1);
  });
});

test("what the vault never had is unknown", async () => {
  const { vault } = await open();
  const nowhere = { subject: "0".repeat(16), class: "1".repeat(16) };
  expect(await vault.openingKeys([nowhere])).toEqual(["unknown"]);
});

test("a new listener is told of the index key, and of pairs anew", async () => {
  const { vault, pairs } = await open();
  const ref = await vault.pairFor("t", "ada", "X", month);
  const told: number[] = [];
  let indexed = "";
  vault.listen({
    paired: (pair) => told.push(pair.ref),
    forgotten: () => {},
    indexed: ({ id }) => {
      indexed = id;
    },
  });
  expect(indexed).not.toBe("");
  const again = await vault.pairFor("t", "ada", "X", month);
  expect(again).toBeGreaterThan(ref);
  expect(told).toEqual([again]);
  expect(pairs).toHaveLength(1);
});

test("rotation of the KEK: new keys are under the new one, old ones open and can be put under it", async () => {
  const store: MemoryVaultStore = createMemoryVaultStore();
  const { vault, pairs } = await open(store);
  await vault.pairFor("t", "ada", "X", month);
  const pair = pairs[0];
  if (pair === undefined) throw new Error("no pair");
  const [kek] = await store.list("kek", 1);
  const next = vault.ring.make({ purpose: "kek", tenant: "", name: "" }, "2");
  expect(await store.succeed(kek?.id ?? "", next.stored)).toBe(true);
  await vault.refresh();
  const [before] = await vault.openingKeys([pair]);
  for (const key of await store.listUnderOlder(2, { limit: 100 })) {
    expect(await store.rewrap([await vault.ring.rewrap(key)])).toBe(1);
  }
  await store.destroy([kek?.id ?? ""], 5);
  const other = await open(store);
  expect(await other.vault.openingKeys([pair])).toEqual([before as Uint8Array]);
});

test("R-38 rotated more than a thousand times, every index key is at hand", async () => {
  const { vault, store } = await open();
  for (let round = 0; round < 1_000; round += 1) {
    const { stored } = vault.ring.make({ purpose: "index", tenant: "", name: "" }, "");
    store.keys.set(stored.id, { ...stored, state: "decrypt-only" });
  }
  await vault.refresh();
  expect(await vault.indexKeys()).toHaveLength(1_001);
});
