/**
 * Fresh random bytes in small pieces, fetched from the system a thousand pieces at a time, because asking costs more
 * than the bytes. The spool's writer takes one piece for each record.
 */
import { randomFillSync } from "node:crypto";

const piecesPerFill = 1024;

/** Each call returns `length` bytes given out only once, valid until the next call. */
export function createRandomPool(length: number): () => Uint8Array {
  const pool = Buffer.allocUnsafeSlow(piecesPerFill * length);
  // Made once: a view costs more than the bytes it shows.
  const pieces = Array.from({ length: piecesPerFill }, (_, index) =>
    pool.subarray(index * length, (index + 1) * length),
  );
  const unused: Uint8Array[] = [];

  function next(): Uint8Array {
    const piece = unused.pop();
    if (piece !== undefined) return piece;
    randomFillSync(pool);
    unused.push(...pieces);
    return next();
  }

  return next;
}
