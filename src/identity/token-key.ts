/**
 * The key that client tokens are hashed under, by default in `<dataDir>/token.key` (`key-file.ts` reads and makes it).
 * Nodes that share a database share it. Losing it invalidates every token.
 */
import { createHmac } from "node:crypto";
import { GatewayError } from "../errors/fault.ts";

/** A name for a key that tells nothing about it: stored with each token, so that a node sees tokens of another key. */
export function tokenKeyId(key: Buffer): string {
  return createHmac("sha256", key).update("token key id").digest("hex").slice(0, 16);
}

/** Refuses a key that the stored tokens were not made under: every one of them would be a puzzling 401. */
export function checkTokenKey(
  key: Buffer,
  path: string,
  tokens: Iterable<{ readonly keyId: string; readonly clientId: string }>,
): void {
  const own = tokenKeyId(key);
  for (const { keyId, clientId } of tokens) {
    if (keyId === own) continue;
    throw new GatewayError(
      "internal",
      `the token of client ${clientId} was made under key ${keyId}, but ${path} holds key ${own}: ` +
        "nodes that share a database share one key, so copy that file or name it in identity.token_key_file",
    );
  }
}
