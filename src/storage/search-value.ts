/**
 * Makes a value fit to be searched by: what agents send may hold NUL, which PostgreSQL refuses, or be longer than
 * an index entry may be, and one such record would stop every later one from being copied. Rows and filters go
 * through the same function, so equality still holds. The record itself keeps the value as it was.
 */
import { createHash } from "node:crypto";

/** PostgreSQL refuses index entries above 2,704 bytes; a character takes at most 3 bytes a UTF-16 unit. */
const lengthMax = 512;
const prefixLength = 440;

/** The value as stored in a search column. Too long a value keeps its beginning and gains its hash. */
export function toSearchValue(value: string): string {
  const clean = value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
  if (clean.length <= lengthMax) return clean;
  return `${clean.slice(0, prefixLength)}#${createHash("sha256").update(clean).digest("hex")}`;
}
