/**
 * Sealed records made at will: a vault in memory for whatever needs one, and a sealer with one pair of keys that are
 * the same each time. Asserts nothing.
 */
import { join } from "node:path";
import { type RenderedDraft, renderDraft, sealRecord } from "../../src/audit/envelope.ts";
import { createOpener, type Opener } from "../../src/audit/opener.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import { createSealer, freshBytesPerRecord, type Sealer } from "../../src/audit/sealer.ts";
import { createFilterTokens, type FilterTokens } from "../../src/audit/tokens.ts";
import { loadKey } from "../../src/identity/key-file.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openVaultStore } from "../../src/storage/vault-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import type { OpeningKey, PairId } from "../../src/vault/keys.ts";
import { openVault, type Vault } from "../../src/vault/vault.ts";
import { createMemoryVaultStore, type MemoryVaultStore } from "./memory-vault-store.ts";

/** A whole vault whose store is in memory. */
export function openMemoryVault(
  store: MemoryVaultStore = createMemoryVaultStore(),
): Promise<Vault> {
  return openVault({ store, root: Buffer.alloc(32, 1), rootPath: "memory", clock: systemClock });
}

/** The vault of a data folder, as a gateway that runs on it has it. */
export async function openFolderVault(dataDir: string): Promise<Vault> {
  const store = await openVaultStore({ dataDir, log: silentLog, deadlineMs: 5_000, waitMs: 0 });
  const rootPath = join(dataDir, "vault.key");
  return openVault({ store, root: await loadKey(rootPath), rootPath, clock: systemClock });
}

export const samplePair = {
  ref: 1,
  subject: "aaaaaaaaaaaaaaaa",
  class: "bbbbbbbbbbbbbbbb",
} as const;
const pairKey = () => new Uint8Array(32).fill(7);
const indexKey = () => new Uint8Array(32).fill(9);

export function createSampleSealer(): Sealer {
  const sealer = createSealer();
  sealer.pair({ ...samplePair, key: pairKey() });
  sealer.index({ id: "cccccccccccccccc", key: indexKey() });
  return sealer;
}

/** Opens what `createSampleSealer` sealed, and finds it by its tokens. */
export const sampleKeys = {
  openingKeys: async (pairs: readonly PairId[]): Promise<readonly OpeningKey[]> =>
    pairs.map((pair) => (pair.subject === samplePair.subject ? pairKey() : "unknown")),
  indexKeys: async () => [{ id: "cccccccccccccccc", key: indexKey() }],
};

export function createSampleOpener(): Opener {
  return createOpener(sampleKeys);
}

export function createSampleTokens(): FilterTokens {
  return createFilterTokens(sampleKeys);
}

/** One record under the sample keys; `random` fills its fresh bytes, which are the same for the same number. */
export function sealSample(
  place: { readonly log: string; readonly seq: number; readonly prev: string },
  draft: RecordDraft | RenderedDraft,
  random = place.seq,
) {
  const rendered = "body" in draft ? draft : renderDraft(draft, 1_000_000);
  const fresh = new Uint8Array(freshBytesPerRecord).fill(random % 256);
  return sealRecord(createSampleSealer(), place, { ...rendered, pair: samplePair.ref }, fresh);
}
