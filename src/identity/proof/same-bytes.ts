/** Compares secrets and what stands for them, in a time that tells nothing about where they differ. */
import { timingSafeEqual } from "node:crypto";

/** `timingSafeEqual` throws on unequal lengths; a length is no secret here. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}
