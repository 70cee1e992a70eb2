/**
 * Keys of the reply cache. They come from a random root that lives in this process alone, so nothing cached outlives
 * it; each epoch has its own keys, and moving to the next one makes every earlier entry unreadable at once.
 */
import { createHmac, hkdfSync, randomBytes } from "node:crypto";

export interface EpochKeys {
  readonly epoch: number;
  readonly sealKey: Buffer;
  /** Hash of an identity under which its entry is found: reveals nothing of the identity in memory. */
  indexOf(identity: Buffer): string;
}

export interface CacheKeys {
  current(): EpochKeys;
  /** Forgets the current keys and moves on. */
  bump(): EpochKeys;
}

const keyBytes = 32;

export function createCacheKeys(): CacheKeys {
  const root = randomBytes(keyBytes);
  let current = deriveEpoch(root, 1);
  return {
    current: () => current,
    bump() {
      current = deriveEpoch(root, current.epoch + 1);
      return current;
    },
  };
}

function deriveEpoch(root: Buffer, epoch: number): EpochKeys {
  const purpose = `mcp-gateway reply cache, epoch ${epoch}`;
  const material = Buffer.from(hkdfSync("sha256", root, "", purpose, 2 * keyBytes));
  const indexKey = material.subarray(keyBytes);
  return {
    epoch,
    sealKey: material.subarray(0, keyBytes),
    indexOf: (identity) => createHmac("sha256", indexKey).update(identity).digest("base64"),
  };
}
