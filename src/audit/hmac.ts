/**
 * HMAC-SHA256 (RFC 2104) of short texts under 32-byte keys, a dozen for each record: in memory used again and again and
 * without an object for each, which cost more than the hashing. Synchronous, and one thread has one such memory. Used by
 * what commits, seals and searches.
 */
const blockBytes = 64;
const hashBytes = 32;
const innerPad = 0x36;
const outerPad = 0x5c;
/** Longer texts are hashed by an object of their own. */
const textCharsMax = 1_024;
const bytesPerCharMax = 3;

/** Bytes that may follow a text: a salt. */
const bytesMax = 64;

const inner = Buffer.alloc(blockBytes + textCharsMax * bytesPerCharMax + bytesMax, innerPad);
const outer = new Uint8Array(blockBytes + hashBytes).fill(outerPad);
const outerTail = outer.subarray(blockBytes);
/** The first bytes of `inner`, by how many: a view made once for each length. */
const innerViews: Uint8Array[] = [];

/** Writes the HMAC of `text` in UTF-8, followed by `bytes` (at most 64) where given, to `into`: 32 bytes, which may be the key's. */
export function hmacInto(
  into: Uint8Array,
  key: Uint8Array,
  text: string,
  bytes?: Uint8Array,
): Uint8Array {
  if (text.length > textCharsMax) return hmacLong(into, key, text, bytes);
  for (let at = 0; at < hashBytes; at += 1) {
    const byte = key[at] ?? 0;
    inner[at] = byte ^ innerPad;
    outer[at] = byte ^ outerPad;
  }
  let length = blockBytes + inner.write(text, blockBytes);
  if (bytes !== undefined) {
    inner.set(bytes, length);
    length += bytes.length;
  }
  let view = innerViews[length];
  if (view === undefined) {
    view = new Uint8Array(inner.buffer, inner.byteOffset, length);
    innerViews[length] = view;
  }
  Bun.SHA256.hash(view, outerTail);
  Bun.SHA256.hash(outer, into);
  return into;
}

function hmacLong(
  into: Uint8Array,
  key: Uint8Array,
  text: string,
  bytes: Uint8Array | undefined,
): Uint8Array {
  const hash = new Bun.CryptoHasher("sha256", key).update(text);
  if (bytes !== undefined) hash.update(bytes);
  into.set(hash.digest());
  return into;
}
