/** Rotation over a store in memory: what it costs where rotations follow each other closely. */
import { expect, test } from "bun:test";
import { silentLog } from "../../../src/telemetry/log.ts";
import { createRotation } from "../../../src/vault/rotation.ts";
import { openVault } from "../../../src/vault/vault.ts";
import { createMemoryVaultStore } from "../../support/memory-vault-store.ts";

const clock = { nowMs: () => 1_000_000, monotonicMs: () => 1_000_000 };

async function open() {
  const store = createMemoryVaultStore();
  const root = Buffer.alloc(32, 1);
  const vault = await openVault({ store, root, rootPath: "/data/vault.key", clock });
  const rotation = createRotation({
    ...{ vault, clock, log: silentLog, retireAfterMs: 60_000 },
    audit: { append: async () => {} },
    oldestTokenMs: async () => undefined,
  });
  const asksOf = async (work: () => Promise<unknown>) => {
    const before = store.asked;
    await work();
    return store.asked - before;
  };
  return { rotation, asksOf, vault, store };
}

test("R-38 a run asks as little after many rotations as after one", async () => {
  const { rotation, asksOf } = await open();
  await rotation.rotate("kek");
  await rotation.run();
  const afterOne = await asksOf(rotation.run);
  for (let round = 0; round < 20; round += 1) await rotation.rotate("kek");
  await rotation.run();
  expect(await asksOf(rotation.run)).toBe(afterOne);
});

test("R-38 runs that are asked for while one waits are that one", async () => {
  const { rotation, asksOf } = await open();
  await rotation.rotate("kek");
  await rotation.run();
  const one = await asksOf(rotation.run);
  const many = await asksOf(() => Promise.all(Array.from({ length: 20 }, rotation.run)));
  expect(many).toBe(one);
});

test("R-38 a page of keys is wrapped anew in one write", async () => {
  const { rotation, asksOf, vault, store } = await open();
  const rotate = () => asksOf(() => rotation.rotate("kek").then(rotation.run));
  const ofOne = await rotate();
  for (let round = 0; round < 100; round += 1) {
    const { stored } = vault.ring.make({ purpose: "index", tenant: "", name: "" }, "");
    store.keys.set(stored.id, { ...stored, state: "decrypt-only" });
  }
  expect(await rotate()).toBe(ofOne);
  const epochs = (await store.list("index", 200)).map(({ epoch }) => epoch);
  expect(new Set(epochs)).toEqual(new Set([3]));
});
