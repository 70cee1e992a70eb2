/**
 * Signed notes (c2sp.org/signed-note): a text that ends in a line break, an empty line, and one line a signature.
 * `cosignature/v1` (c2sp.org/tlog-cosignature) is a signature over the same text with a time before it, by which
 * witnesses say what they saw. Nothing here knows what the text says.
 */
import { EvidenceError } from "./evidence-error.ts";
import {
  cosignatureType,
  isSignedBy,
  needKeyName,
  noteType,
  type SigningKey,
  type VerifierKey,
} from "./keys.ts";
import { fromBase64, toBase64 } from "./spelling.ts";

export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** What follows the key id: for type 1 the signature, for type 4 eight bytes of time before it. */
  readonly bytes: Uint8Array;
}

export interface SignedNote {
  /** With its last line break. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface VerifiedSignature {
  readonly key: VerifierKey;
  /** Seconds since 1970 that a cosignature states. */
  readonly timestamp: number | undefined;
}

const noteCharsMax = 64 * 1024;
const signaturesMax = 64;
const signaturePattern = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/;
const ed25519Bytes = 64;
const timestampBytes = 8;

/** Reads a note without trusting it; throws an EvidenceError that says what is wrong with it. */
export function parseNote(note: string): SignedNote {
  if (note.length > noteCharsMax) {
    throw new EvidenceError(`a note may have ${noteCharsMax} characters at most`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the format forbids exactly these.
  if (/[\x00-\x09\x0b-\x1f]/.test(note) || !note.isWellFormed()) {
    throw new EvidenceError("a note may hold no control characters but line breaks");
  }
  const split = note.lastIndexOf("\n\n");
  if (split === -1) throw new EvidenceError("a note must have an empty line before its signatures");
  const text = note.slice(0, split + 1);
  const tail = note.slice(split + 2);
  if (!tail.endsWith("\n")) throw new EvidenceError("a note must end in signature lines");
  const lines = tail.slice(0, -1).split("\n");
  if (lines.length > signaturesMax) {
    throw new EvidenceError(`a note may have ${signaturesMax} signatures at most`);
  }
  return { text, signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = signaturePattern.exec(line) ?? [];
  if (name === undefined || encoded === undefined) {
    throw new EvidenceError("a signature line must read — <name> <base64>");
  }
  const bytes = Buffer.from(fromBase64(encoded, "a signature"));
  if (bytes.length <= 4) throw new EvidenceError("a signature must be longer than its key id");
  return {
    name: needKeyName(name),
    keyId: bytes.readUInt32BE(0),
    bytes: new Uint8Array(bytes.subarray(4)),
  };
}

export function renderNote({ text, signatures }: SignedNote): string {
  return `${text}\n${signatures.map(renderSignature).join("")}`;
}

/** One line, as witnesses answer with. */
export function renderSignature({ name, keyId, bytes }: NoteSignature): string {
  const whole = Buffer.alloc(4 + bytes.length);
  whole.writeUInt32BE(keyId);
  whole.set(bytes, 4);
  return `— ${name} ${toBase64(whole)}\n`;
}

/** The signature of a key of type 1 under a text that ends in a line break. */
export function signText(text: string, key: SigningKey): NoteSignature {
  needType(key, noteType);
  const { name, id } = key.verifier;
  return { name, keyId: id, bytes: key.sign(needText(text)) };
}

/** The cosignature of a key of type 4: that this text was seen at `timestamp` (seconds since 1970). */
export function cosignText(text: string, key: SigningKey, timestamp: number): NoteSignature {
  needType(key, cosignatureType);
  const bytes = Buffer.alloc(timestampBytes + ed25519Bytes);
  bytes.writeBigUInt64BE(BigInt(timestamp));
  bytes.set(key.sign(cosignedText(needText(text), timestamp)), timestampBytes);
  const { name, id } = key.verifier;
  return { name, keyId: id, bytes: new Uint8Array(bytes) };
}

/**
 * The signatures by keys we know. Those of other keys are passed over, as the format demands; throws an
 * EvidenceError where one by a known key is wrong, or where none is left.
 */
export function verifyNote(
  note: SignedNote,
  keys: readonly VerifierKey[],
): readonly VerifiedSignature[] {
  const verified: VerifiedSignature[] = [];
  for (const signature of note.signatures) {
    const key = keys.find((one) => one.name === signature.name && one.id === signature.keyId);
    if (key === undefined || verified.some((one) => one.key === key)) continue;
    verified.push({ key, timestamp: checkSignature(note.text, signature, key) });
  }
  if (verified.length > 0) return verified;
  throw new EvidenceError("the note is signed by none of the known keys");
}

function checkSignature(
  text: string,
  { name, bytes }: NoteSignature,
  key: VerifierKey,
): number | undefined {
  const wrong = new EvidenceError(`the signature by ${name} is not over this text`);
  if (key.type === noteType) {
    if (bytes.length !== ed25519Bytes || !isSignedBy(key, text, bytes)) throw wrong;
    return undefined;
  }
  if (bytes.length !== timestampBytes + ed25519Bytes) throw wrong;
  const timestamp = Number(Buffer.from(bytes).readBigUInt64BE(0));
  if (!Number.isSafeInteger(timestamp)) throw wrong;
  const signature = bytes.subarray(timestampBytes);
  if (!isSignedBy(key, cosignedText(text, timestamp), signature)) throw wrong;
  return timestamp;
}

function cosignedText(text: string, timestamp: number): string {
  return `cosignature/v1\ntime ${timestamp}\n${text}`;
}

function needText(text: string): string {
  if (text.endsWith("\n")) return text;
  throw new EvidenceError("a note's text must end in a line break");
}

function needType(key: SigningKey, type: number): void {
  if (key.verifier.type === type) return;
  throw new EvidenceError(
    `the key ${key.verifier.name} is of type ${key.verifier.type}, not ${type}`,
  );
}
