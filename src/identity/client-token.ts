/**
 * Client tokens: `mcpgw_` and 256 random bits. Only their keyed hash is ever stored, so a stolen database cannot be
 * used to guess or to present one. The admin plane mints them, the authenticator hashes what it is shown.
 */
import { timingSafeEqual } from "node:crypto";
import { randomSecret } from "../lib/id.ts";

const clientTokenPrefix = "mcpgw_";
const digestChars = 64;
/** Written over by each comparison: every call makes one, and two new buffers cost more than it does. */
const left = Buffer.alloc(digestChars);
const right = Buffer.alloc(digestChars);

export type TokenHasher = (token: string) => string;

/** A new token; shown to its owner once and then forgotten. */
export function createClientToken(): string {
  return clientTokenPrefix + randomSecret(32);
}

/** Whether the text claims to be a client token. What follows the prefix is judged by looking its hash up. */
export function isClientToken(token: string): boolean {
  return token.startsWith(clientTokenPrefix);
}

/** Hashes credentials under the node's token key: hex HMAC-SHA-256. */
export function createTokenHasher(key: Buffer): TokenHasher {
  // A copy has taken the key in already: every call hashes a token.
  const keyed = new Bun.CryptoHasher("sha256", key);
  return (token) => keyed.copy().update(token).digest("hex");
}

/** For a hash that a map has found: comparing again in constant time keeps timing out of the answer. */
export function sameDigest(one: string, other: string): boolean {
  if (one.length !== digestChars || other.length !== digestChars) return false;
  left.write(one, "latin1");
  right.write(other, "latin1");
  return timingSafeEqual(left, right);
}
