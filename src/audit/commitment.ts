/**
 * What the hashed envelope says of a record's personal values: one commitment over all of them, in which each field
 * has its own. With a field's random gone nobody can test a guess against it; with it, one field is shown and nothing
 * of the others (`openingProof`, `checkOpening`). Pure; docs/audit.md has the same in words.
 */
import { createHash } from "node:crypto";
import { hmacByNameInto, hmacInto } from "./hmac.ts";

export type FieldValue = string | number | boolean | null;
export type Fields = Readonly<Record<string, FieldValue>>;

/** Bytes of the random that all of a record's fields derive theirs from. */
export const randomBytesPerRecord = 32;

const hashBytes = 32;

/** Of a record without fields: SHA-256 of nothing. */
export const emptyCommitment = createHash("sha256").digest("hex");

/** Shows one field of a record; the others only as their own commitments. */
export interface FieldOpening {
  readonly name: string;
  readonly value: FieldValue;
  /** The field's random, 64 hex digits. */
  readonly random: string;
  /** Names and commitments of all other fields. */
  readonly others: readonly (readonly [name: string, commitment: string])[];
}

/** Used for one field after the other: nothing of it outlives a call. */
const scratchHash = new Uint8Array(hashBytes);
const scratch: Buffer = Buffer.alloc(4_096);

/** The record's commitment, in hex. `random` begins with 32 bytes used for no other record. */
export function commitFields(random: Uint8Array, fields: Fields): string {
  let all = scratch;
  let at = 0;
  for (const name of Object.keys(fields).sort()) {
    const needed = at + 3 * name.length + 1 + hashBytes;
    if (needed > all.length) all = Buffer.concat([all], needed * 2);
    at += all.write(name, at);
    all[at] = 0;
    all.set(hmacByNameInto(scratchHash, random, name, JSON.stringify(fields[name])), at + 1);
    at += 1 + hashBytes;
  }
  return Bun.SHA256.hash(all.subarray(0, at), "hex");
}

function fieldRandom(random: Uint8Array, name: string): Uint8Array {
  return hmacInto(new Uint8Array(hashBytes), random, name);
}

function commitField(fieldRandomBytes: Uint8Array, name: string, text: string): Uint8Array {
  return hmacInto(new Uint8Array(hashBytes), fieldRandomBytes, `${name}\0${text}`);
}

/** Undefined where the record has no such field. */
export function openingProof(
  random: Uint8Array,
  fields: Fields,
  name: string,
): FieldOpening | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (value === undefined) return undefined;
  const others = Object.keys(fields)
    .filter((other) => other !== name)
    .sort()
    .map((other) => {
      const text = JSON.stringify(fields[other]);
      const commitment = commitField(fieldRandom(random, other), other, text);
      return [other, Buffer.from(commitment).toString("hex")] as const;
    });
  return { name, value, random: Buffer.from(fieldRandom(random, name)).toString("hex"), others };
}

const hash32 = /^[0-9a-f]{64}$/;

/** Whether the field is one of those that the envelope with this commitment committed to. */
export function checkOpening(commitment: string, opening: FieldOpening): boolean {
  const { name, value, random, others } = opening;
  if (!hash32.test(random) || others.some(([, other]) => !hash32.test(other))) return false;
  const own = commitField(Buffer.from(random, "hex"), name, JSON.stringify(value));
  const all = new Map(others.map(([other, hex]) => [other, Buffer.from(hex, "hex")]));
  if (all.has(name) || all.size !== others.length) return false;
  all.set(name, Buffer.from(own));
  // Joined with the names by zero bytes, so a name that holds one could stand for two fields.
  if ([...all.keys()].some((one) => one.includes("\0"))) return false;
  const hash = createHash("sha256");
  for (const one of [...all.keys()].sort()) hash.update(`${one}\0`).update(all.get(one) ?? "");
  return hash.digest("hex") === commitment;
}
