/**
 * Client tokens: `mcpgw_` and 256 random bits. Only their keyed hash is ever stored, so a stolen database cannot be
 * used to guess or to present one. The admin plane mints them, the authenticator hashes what it is shown.
 */
import { randomSecret } from "../lib/id.ts";

const clientTokenPrefix = "mcpgw_";

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
