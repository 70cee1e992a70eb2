/**
 * Ed25519 keys as C2SP signed-note names them: a verifier key (vkey) is `<name>+<key id>+<base64 of type and public
 * key>`. Type 0x01 signs a note's text as it is, type 0x04 is a witness's cosignature with a time. Private keys are
 * never handed out as bytes but to be written to the node's key file, as PKCS #8, which every tool can read.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { EvidenceError } from "./evidence-error.ts";
import { fromBase64, toBase64 } from "./spelling.ts";

export const noteType = 0x01;
export const cosignatureType = 0x04;
export type KeyType = typeof noteType | typeof cosignatureType;

export interface VerifierKey {
  readonly name: string;
  readonly type: KeyType;
  /** First four bytes of SHA-256(name, line break, type, public key), big endian. */
  readonly id: number;
  readonly publicKey: Uint8Array;
}

export interface SigningKey {
  readonly verifier: VerifierKey;
  sign(message: string): Uint8Array;
  /** PKCS #8 in PEM. */
  exportPem(): string;
}

/** Before the 32 bytes of an Ed25519 public key in its SubjectPublicKeyInfo (RFC 8410). */
const publicKeyHead = Buffer.from("302a300506032b6570032100", "hex");
const publicKeyBytes = 32;
// No spaces, no plus, nothing that could end a line.
const namePattern = /^[^\s+\p{Cc}]+$/u;

export function needKeyName(name: string): string {
  if (name.length <= 255 && namePattern.test(name)) return name;
  throw new EvidenceError(
    "a key's name must be 1 to 255 characters, none of them a space, a plus or a control character",
  );
}

export function createVerifierKey(name: string, type: KeyType, publicKey: Uint8Array): VerifierKey {
  needKeyName(name);
  if (publicKey.length !== publicKeyBytes) {
    throw new EvidenceError(`an Ed25519 public key has ${publicKeyBytes} bytes`);
  }
  const digest = createHash("sha256")
    .update(`${name}\n`)
    .update(Uint8Array.of(type))
    .update(publicKey)
    .digest();
  return { name, type, id: digest.readUInt32BE(0), publicKey };
}

export function renderVerifierKey({ name, id, type, publicKey }: VerifierKey): string {
  return `${name}+${renderKeyId(id)}+${toBase64(Buffer.from([type, ...publicKey]))}`;
}

/** Eight hex digits. */
export function renderKeyId(id: number): string {
  return id.toString(16).padStart(8, "0");
}

/** Reads a vkey; throws an EvidenceError that says what is wrong with it. */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined) {
    throw new EvidenceError(
      "a verifier key must read <name>+<8 hex digits>+<base64 of type and key>",
    );
  }
  const bytes = fromBase64(encoded, "the last part of a verifier key");
  const type = bytes[0];
  if (type !== noteType && type !== cosignatureType) {
    throw new EvidenceError(
      "a verifier key must be of type 1 (Ed25519) or 4 (Ed25519 cosignature)",
    );
  }
  const key = createVerifierKey(name, type, bytes.subarray(1));
  if (renderKeyId(key.id) !== id) {
    throw new EvidenceError(`the verifier key's id ${id} is not the one of its name and key`);
  }
  return key;
}

/** A new key that lives in this thread's memory alone. */
export function createSigningKey(name: string, type: KeyType = noteType): SigningKey {
  return toSigningKey(name, type, generateKeyPairSync("ed25519").privateKey);
}

/** The key in a text of `exportPem`; throws an EvidenceError where it holds none. */
export function parseSigningKey(name: string, pem: string, type: KeyType = noteType): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new EvidenceError("a signing key must be PKCS #8 in PEM", { cause });
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new EvidenceError("a signing key must be an Ed25519 key");
  }
  return toSigningKey(name, type, key);
}

function toSigningKey(name: string, type: KeyType, key: KeyObject): SigningKey {
  const encoded = createPublicKey(key).export({ type: "spki", format: "der" });
  return {
    verifier: createVerifierKey(name, type, new Uint8Array(encoded.subarray(-publicKeyBytes))),
    sign: (message) => sign(null, Buffer.from(message), key),
    exportPem: () => key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** Whether `signature` is the key's over exactly this text. */
export function isSignedBy(key: VerifierKey, message: string, signature: Uint8Array): boolean {
  const der = Buffer.concat([publicKeyHead, key.publicKey]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  return verify(null, Buffer.from(message), publicKey, signature);
}
