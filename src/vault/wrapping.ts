/**
 * One key under another: AES-256-GCM, with purpose, id and epoch bound to it, so a wrapped key that was moved, renamed
 * or put under another epoch does not open. The wrapping key is derived anew for each wrap from a random salt, so no
 * count of nonces has to be kept. Pure; used by `key-ring.ts`.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { deriveKey, keyBytes } from "./labels.ts";
import type { StoredKey } from "./store.ts";

/** What a wrapped key is bound to. */
export type WrapPlace = Pick<StoredKey, "purpose" | "id" | "epoch">;

const saltBytes = 32;
const tagBytes = 16;
const tagLength = { authTagLength: tagBytes };
const nonce = Buffer.alloc(12);

/** Base64 of salt, ciphertext and tag. */
export function wrapKey(under: Uint8Array, place: WrapPlace, key: Uint8Array): string {
  const salt = randomBytes(saltBytes);
  const own = deriveKey(under, place.purpose, salt);
  const cipher = createCipheriv("aes-256-gcm", own, nonce, tagLength);
  cipher.setAAD(bindingOf(place));
  const sealed = Buffer.concat([salt, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  own.fill(0);
  return sealed.toString("base64");
}

/** The key; undefined where it is another's, lies in another place, or was changed. */
export function unwrapKey(
  under: Uint8Array,
  place: WrapPlace,
  wrapped: string,
): Buffer | undefined {
  const bytes = Buffer.from(wrapped, "base64");
  if (bytes.length !== saltBytes + keyBytes + tagBytes) return undefined;
  const own = deriveKey(under, place.purpose, bytes.subarray(0, saltBytes));
  try {
    const decipher = createDecipheriv("aes-256-gcm", own, nonce, tagLength);
    decipher.setAAD(bindingOf(place));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const key = decipher.update(bytes.subarray(saltBytes, -tagBytes));
    // Gives no bytes, and throws where it is not the key that was wrapped. No copy of the key is left behind.
    decipher.final();
    return key;
  } catch {
    return undefined;
  } finally {
    own.fill(0);
  }
}

function bindingOf({ purpose, id, epoch }: WrapPlace): Buffer {
  return Buffer.from(`mcp-gateway vault key v1\n${purpose}\n${id}\n${epoch}`);
}
