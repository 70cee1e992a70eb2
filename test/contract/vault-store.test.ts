/**
 * The key vault over a real SQLite file and a real PostgreSQL: one active key an owner whoever is quicker, nothing left
 * of a destroyed key, and nodes that share a vault open each other's records.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadKey } from "../../src/identity/key-file.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openVaultStore } from "../../src/storage/vault-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import type { SealingPair } from "../../src/vault/keys.ts";
import type { StoredKey, VaultStore } from "../../src/vault/store.ts";
import { openVault, type Vault } from "../../src/vault/vault.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let postgres: TestPostgres;
const folders: string[] = [];
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "vault-"));
  folders.push(folder);
  return folder;
}

const openers: readonly (readonly [string, (dataDir: string) => Promise<VaultStore>])[] = [
  [
    "SQLite",
    (dataDir) => openVaultStore({ dataDir, log: silentLog, deadlineMs: 30_000, waitMs: 0 }),
  ],
  [
    "PostgreSQL",
    (dataDir) =>
      openVaultStore({ url: postgres.url, dataDir, log: silentLog, deadlineMs: 30_000, waitMs: 0 }),
  ],
];

function keyOf(more: Partial<StoredKey> = {}): StoredKey {
  return {
    id: randomBytes(8).toString("hex"),
    purpose: "subject",
    tenant: "t",
    label: "",
    owner: randomBytes(32).toString("hex"),
    epoch: 1,
    wrapped: randomBytes(80).toString("base64"),
    state: "active",
    createdAtMs: 5,
    destroyedAtMs: null,
    ...more,
  };
}

for (const [kind, open] of openers) {
  describe(kind, () => {
    test("of many who make one owner's key at once, all get the same", async () => {
      const dataDir = makeFolder();
      const [one, two] = [await open(dataDir), await open(dataDir)];
      const owner = randomBytes(32).toString("hex");
      const made = await Promise.all(
        Array.from({ length: 20 }, (_, at) => (at % 2 ? one : two).insertOrRead(keyOf({ owner }))),
      );
      expect(new Set(made.map((key) => key.id)).size).toBe(1);
      expect(await one.active([owner])).toEqual([made[0] as StoredKey]);
      await one.close();
      await two.close();
    });

    test("a key has one successor, is put under another KEK once, and is found by what it is", async () => {
      const store = await open(makeFolder());
      const tenant = randomBytes(4).toString("hex");
      const first = keyOf({ tenant });
      const next = keyOf({ tenant, owner: first.owner, createdAtMs: 6 });
      await store.insertOrRead(first);
      expect(await store.succeed(first.id, next)).toBe(true);
      expect(await store.succeed(first.id, keyOf({ owner: first.owner }))).toBe(false);
      expect(await store.active([first.owner ?? ""])).toEqual([next]);
      expect((await store.ofOwner(first.owner ?? "")).map((key) => key.state).sort()).toEqual([
        "active",
        "decrypt-only",
      ]);
      const others = Array.from({ length: 3 }, () => keyOf({ tenant: `${tenant}-others` }));
      for (const other of others) await store.insertOrRead(other);
      const to = (epoch: number, wrapped: string) =>
        [first, ...others].map(({ id }) => ({ id, fromEpoch: 1, epoch, wrapped }));
      expect(await store.rewrap([])).toBe(0);
      expect(await store.destroy([others[0]?.id ?? ""], 7)).toHaveLength(1);
      expect(await store.rewrap(to(2, "x"))).toBe(3);
      expect(await store.rewrap(to(3, "y"))).toBe(0);
      expect((await store.byIds([first.id]))[0]).toMatchObject({ epoch: 2, wrapped: "x" });
      const own = (keys: readonly StoredKey[]) =>
        keys.filter((key) => key.tenant === tenant).map(({ id }) => id);
      expect(own(await store.list("subject", 1_000))).toEqual([first.id, next.id].sort());
      expect(await store.list("subject", 2)).toHaveLength(2);
      const underOlder = async (epoch: number, after?: StoredKey) =>
        own(await store.listUnderOlder(epoch, { after, limit: 1_000 }));
      expect(await underOlder(1)).toEqual([]);
      expect(await underOlder(2)).toEqual([next.id]);
      expect(await underOlder(3)).toEqual([next.id, first.id]);
      expect(await underOlder(3, next)).toEqual([first.id]);
      expect(await underOlder(3, { ...first, epoch: 2 })).toEqual([]);
      expect(await store.byIds([next.id, "0".repeat(16)])).toEqual([next]);
      await store.close();
    });

    test("of a destroyed key only its row is left, and its owner may have another", async () => {
      const store = await open(makeFolder());
      const key = keyOf({ label: "PERSONAL 2026-11", purpose: "class" });
      await store.insertOrRead(key);
      expect(await store.destroy([key.id], 99)).toEqual([key.id]);
      expect(await store.destroy([key.id], 100)).toEqual([]);
      expect(await store.byIds([key.id])).toEqual([
        { ...key, state: "destroyed", owner: null, wrapped: null, destroyedAtMs: 99 },
      ]);
      expect(await store.ofOwner(key.owner ?? "")).toEqual([]);
      const again = keyOf({ owner: key.owner });
      expect(await store.insertOrRead(again)).toEqual(again);
      await store.close();
    });
  });
}

test("the file is opened however slow the disk is; what is asked of it later ends by the deadline", async () => {
  const dataDir = makeFolder();
  // Less than it takes to start the file's thread.
  const store = await openVaultStore({ dataDir, log: silentLog, deadlineMs: 1, waitMs: 0 });
  using holder = new Database(join(dataDir, "vault.sqlite"));
  holder.run("begin exclusive");
  await expect(store.insertOrRead(keyOf())).rejects.toMatchObject({ kind: "unavailable" });
  holder.run("rollback");
  await store.close().catch(() => {});
});

async function openNode(store: VaultStore, rootPath: string) {
  const root = await loadKey(rootPath);
  const vault = await openVault({ store, root, rootPath, clock: systemClock });
  const pairs: SealingPair[] = [];
  const paired = (pair: SealingPair) => pairs.push({ ...pair, key: Uint8Array.from(pair.key) });
  vault.listen({ paired, forgotten: () => {}, indexed: () => {} });
  return { vault, pairs };
}

async function openAt(vault: Vault, pair: SealingPair | undefined): Promise<unknown> {
  const [key] = await vault.openingKeys(pair === undefined ? [] : [pair]);
  return typeof key === "object" ? Buffer.from(key).toString("hex") : key;
}

test("nodes that share a PostgreSQL vault and its root key open each other's records", async () => {
  const rootPath = join(makeFolder(), "vault.key");
  const open = openers[1]?.[1] ?? openers[0]?.[1];
  if (open === undefined) throw new Error("no opener");
  const one = await openNode(await open(makeFolder()), rootPath);
  const two = await openNode(await open(makeFolder()), rootPath);
  await Promise.all([
    one.vault.pairFor("t", "shared", "PERSONAL", "2026-11"),
    two.vault.pairFor("t", "shared", "PERSONAL", "2026-11"),
  ]);
  const key = Buffer.from(one.pairs[0]?.key ?? []).toString("hex");
  expect(await openAt(two.vault, one.pairs[0])).toBe(key);
  expect(await openAt(one.vault, two.pairs[0])).toBe(key);
  expect((await two.vault.indexKeys())[0]?.id).toBe((await one.vault.indexKeys())[0]?.id ?? "");
  await one.vault.destroy([one.pairs[0]?.subject ?? ""]);
  expect(await openAt(two.vault, one.pairs[0])).toBe("destroyed");
  const [first] = one.pairs;
  // The wrapped key and the owner's mark are gone from the shared database.
  const [row] = await two.vault.store.byIds([first?.subject ?? ""]);
  expect(row).toMatchObject({ owner: null, wrapped: null, state: "destroyed" });
  await one.vault.close();
  await two.vault.close();
});

test("K-07 the file vault is private, and no plain key lies in it or beside it", async () => {
  const dataDir = makeFolder();
  const store = await openVaultStore({ dataDir, log: silentLog, deadlineMs: 30_000, waitMs: 0 });
  const { vault, pairs } = await openNode(store, join(dataDir, "vault.key"));
  await vault.pairFor("t", "ada-lovelace", "PERSONAL", "2026-11");
  const [pair] = pairs;
  await vault.close();
  for (const name of readdirSync(dataDir)) {
    expect(statSync(join(dataDir, name)).mode & 0o077).toBe(0);
    const bytes = readFileSync(join(dataDir, name));
    expect(bytes.includes("ada-lovelace")).toBe(false);
    expect(bytes.includes(Buffer.from(pair?.key ?? "none"))).toBe(false);
  }
});

test("ST-15 a vault.key that is a link is refused; one that an operator named may be", async () => {
  const folder = makeFolder();
  const real = join(folder, "real.key");
  const key = await loadKey(real);
  const link = join(folder, "vault.key");
  symlinkSync(real, link);
  const refused = await loadKey(link, "private").catch((error: unknown) => String(error));
  expect(refused).toContain("must not be a link");
  expect(await loadKey(link)).toEqual(key);
});
