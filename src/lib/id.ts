/**
 * Identifiers and random secrets. Ids are UUIDv7 (sortable by time); secrets are 256 random bits in base64url.
 */
import { randomBytes } from "node:crypto";

/** A new UUIDv7 as 36 characters. */
export function newId(): string {
  return Bun.randomUUIDv7();
}

/** `bytes` random bytes as base64url without padding; 32 bytes (256 bits) by default. */
export function randomSecret(bytes = 32): string {
  return randomBytes(bytes).toString("base64url");
}
