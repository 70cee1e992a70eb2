/**
 * Seals bytes with AES-256-GCM: header (version, algorithm, key id, nonce), ciphertext, tag. The header and the
 * owner's identity are associated data, so an entry opens only for the identity it was sealed for. Synchronous:
 * at these sizes that is faster than WebCrypto.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";

const version = 1;
const aes256Gcm = 1;
const nonceStart = 6;
const headerBytes = nonceStart + 12;
const tagBytes = 16;
const tagLength = { authTagLength: tagBytes };

export interface Sealer {
  /** Throws where the key is spent: callers ask `isSpent` first. */
  seal(identity: Buffer, plain: Buffer): Buffer;
  /** Undefined where the bytes were changed, cut, sealed under another key or for another identity. */
  open(identity: Buffer, sealed: Buffer): Buffer | undefined;
  /** Whether the key has sealed as much as it may. */
  isSpent(): boolean;
}

/** `sealsMax` stays below 2^32, so that the nonce counter never wraps and the key's bound is never met. */
export function createSealer(key: Buffer, keyId: number, sealsMax = 2 ** 32 - 1): Sealer {
  let sealCount = 0;
  return {
    seal(identity, plain) {
      if (sealCount >= sealsMax) throw new Error("this key has sealed as much as it may");
      sealCount += 1;
      const header = encodeHeader(keyId, sealCount);
      const cipher = createCipheriv("aes-256-gcm", key, header.subarray(nonceStart), tagLength);
      cipher.setAAD(Buffer.concat([header, identity]));
      return Buffer.concat([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(identity, sealed) {
      if (sealed.length < headerBytes + tagBytes) return undefined;
      const header = sealed.subarray(0, headerBytes);
      if (header[0] !== version || header[1] !== aes256Gcm) return undefined;
      if (header.readUInt32BE(2) !== keyId) return undefined;
      try {
        const nonce = header.subarray(nonceStart);
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, tagLength);
        decipher.setAAD(Buffer.concat([header, identity]));
        decipher.setAuthTag(sealed.subarray(-tagBytes));
        const plain = decipher.update(sealed.subarray(headerBytes, -tagBytes));
        return Buffer.concat([plain, decipher.final()]);
      } catch {
        return undefined;
      }
    },
    isSpent: () => sealCount >= sealsMax,
  };
}

/** The nonce is a counter: the key is new in this process and used by one sealer, so it never repeats. */
function encodeHeader(keyId: number, count: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = version;
  header[1] = aes256Gcm;
  header.writeUInt32BE(keyId, 2);
  header.writeUIntBE(count, headerBytes - 6, 6);
  return header;
}
