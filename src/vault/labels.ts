/**
 * What each derived key is for (K-05): one label a purpose, none of them twice, so no key ever serves two. Used by the
 * files of this folder alone.
 */
import { hkdfSync } from "node:crypto";
import type { KeyPurpose } from "./store.ts";

export const labels = {
  /** From the root: what a key's owner stands as in the database. */
  owner: "mcp-gateway vault owner v1",
  /** From a subject's and a class's key together: what seals records. */
  pair: "mcp-gateway audit details v1",
  /** From the root (of a `kek`) or from a KEK: wraps one key. */
  kek: "mcp-gateway vault wrap kek v1",
  subject: "mcp-gateway vault wrap subject v1",
  class: "mcp-gateway vault wrap class v1",
  index: "mcp-gateway vault wrap index v1",
} as const satisfies Record<KeyPurpose | "owner" | "pair", string>;

export const keyBytes = 32;

/** The caller's to zero. */
export function deriveKey(from: Uint8Array, label: keyof typeof labels, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", from, salt, labels[label], keyBytes));
}
