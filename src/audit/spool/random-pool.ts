/**
 * Fresh random bytes in small pieces, fetched from the system a thousand pieces at a time, because asking costs more
 * than the bytes. The spool's writer takes one piece for each record.
 */
import { randomFillSync } from "node:crypto";

const piecesPerFill = 1024;

/** Each call returns `length` bytes given out only once, valid until some thousand calls later. */
export function createRandomPool(length: number): () => Uint8Array {
  const pool = Buffer.allocUnsafeSlow(piecesPerFill * length);
  let offset = pool.length;
  return () => {
    if (offset === pool.length) {
      randomFillSync(pool);
      offset = 0;
    }
    offset += length;
    return pool.subarray(offset - length, offset);
  };
}
