/**
 * Base64 as the C2SP formats want it: RFC 4648 section 4 with padding, and only the one spelling each value has, so
 * that two texts that differ never mean the same bytes.
 */
import { EvidenceError } from "./evidence-error.ts";

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** The bytes; throws an EvidenceError that calls the text by `what`. */
export function fromBase64(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) {
    throw new EvidenceError(`${what} must be base64 with padding and nothing else`);
  }
  return bytes;
}

/** The number in an ASCII decimal without leading zeroes; throws an EvidenceError that calls it by `what`. */
export function fromDecimal(text: string, what: string): number {
  const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new EvidenceError(`${what} must be a decimal number below 2^53 without leading zeroes`);
}
