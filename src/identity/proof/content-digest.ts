/**
 * `Content-Digest` of RFC 9530 against the body that came: every digest we know must be right, and there must be one.
 */
import { hash } from "node:crypto";
import { parseDictionary } from "structured-headers";
import { sameBytes } from "./same-bytes.ts";

const algorithms = new Map([
  ["sha-256", "sha256"],
  ["sha-512", "sha512"],
]);

/** Undefined where the digest is the body's; otherwise what is wrong with it. */
export function checkContentDigest(field: string, body: Uint8Array): string | undefined {
  let members: ReturnType<typeof parseDictionary>;
  try {
    members = parseDictionary(field);
  } catch {
    return "Content-Digest is not a dictionary of byte sequences";
  }
  let known = 0;
  for (const [name, [value]] of members) {
    const algorithm = algorithms.get(name);
    if (algorithm === undefined) continue;
    if (!(value instanceof ArrayBuffer)) return `Content-Digest ${name} is not a byte sequence`;
    const expected = hash(algorithm, body, "buffer");
    if (!sameBytes(new Uint8Array(value), expected)) return "Content-Digest is not the body's";
    known += 1;
  }
  return known > 0 ? undefined : "Content-Digest has neither sha-256 nor sha-512";
}
