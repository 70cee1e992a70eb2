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

/**
 * Writes the HMAC of `text` in UTF-8, followed by `bytes` (at most 64) where given, to `into`: 32 bytes, which may be the
 * key's. The key is the first 32 bytes of `key`.
 */
export function hmacInto(
  into: Uint8Array,
  key: Uint8Array,
  text: string,
  bytes?: Uint8Array,
): Uint8Array {
  if (text.length > textCharsMax) return hmacLong(into, key, text, bytes);
  let end = blockBytes + inner.write(text, blockBytes);
  if (bytes !== undefined) {
    inner.set(bytes, end);
    end += bytes.length;
  }
  return closeInto(into, key, end);
}

/**
 * Writes the HMAC of `name`, a zero byte and `text` under a key of their own, the HMAC of `name` under `key`: what
 * `hmacInto` makes in two calls, with the name put down once.
 */
export function hmacByNameInto(
  into: Uint8Array,
  key: Uint8Array,
  name: string,
  text: string,
): Uint8Array {
  if (name.length + text.length >= textCharsMax) {
    return hmacInto(into, hmacInto(into, key, name), `${name}\0${text}`);
  }
  const nameEnd = blockBytes + inner.write(name, blockBytes);
  closeInto(into, key, nameEnd);
  inner[nameEnd] = 0;
  return closeInto(into, into, nameEnd + 1 + inner.write(text, nameEnd + 1));
}

/** The HMAC of what stands in `inner` up to `end`, behind the block that is the key's. */
function closeInto(into: Uint8Array, key: Uint8Array, end: number): Uint8Array {
  for (let at = 0; at < hashBytes; at += 1) {
    const byte = key[at] ?? 0;
    inner[at] = byte ^ innerPad;
    outer[at] = byte ^ outerPad;
  }
  let view = innerViews[end];
  if (view === undefined) {
    view = new Uint8Array(inner.buffer, inner.byteOffset, end);
    innerViews[end] = view;
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
  const hash = new Bun.CryptoHasher("sha256", key.subarray(0, hashBytes)).update(text);
  if (bytes !== undefined) hash.update(bytes);
  into.set(hash.digest());
  return into;
}
