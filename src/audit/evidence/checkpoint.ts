/**
 * Checkpoints (c2sp.org/tlog-checkpoint): what a signed note of a log says, that is origin, tree size and root. The
 * origin of a node's log is `mcp-gateway/<log id>`. Signing and reading; what may be signed is decided by the notary.
 */
import { EvidenceError } from "./evidence-error.ts";
import type { SigningKey, VerifierKey } from "./keys.ts";
import { parseNote, renderNote, type SignedNote, signText, verifyNote } from "./note.ts";
import { fromBase64, fromDecimal, toBase64 } from "./spelling.ts";
import { hashBytes } from "./tree.ts";

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export interface SignedCheckpoint extends Checkpoint {
  readonly note: SignedNote;
}

const originPrefix = "mcp-gateway/";

/** The origin of a log, which is also the name of the keys that sign for it. */
export function originOf(logId: string): string {
  return originPrefix + logId;
}

/** The log id of an origin of ours; undefined for a stranger's. */
export function logIdOf(origin: string): string | undefined {
  return origin.startsWith(originPrefix) ? origin.slice(originPrefix.length) : undefined;
}

/** The text to sign, with its last line break. */
export function renderCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** The signed note of a checkpoint, as stored and served. */
export function signCheckpoint(checkpoint: Checkpoint, key: SigningKey): string {
  const text = renderCheckpoint(checkpoint);
  return renderNote({ text, signatures: [signText(text, key)] });
}

/** Reads a signed checkpoint without trusting it; throws an EvidenceError that says what is wrong with it. */
export function parseCheckpoint(note: string): SignedCheckpoint {
  const signed = parseNote(note);
  const [origin = "", size = "", root = "", ...extensions] = signed.text.slice(0, -1).split("\n");
  if (origin === "") throw new EvidenceError("a checkpoint must begin with its origin");
  if (extensions.includes("")) {
    throw new EvidenceError("a checkpoint's extension lines must not be empty");
  }
  const hash = fromBase64(root, "a checkpoint's root");
  if (hash.length !== hashBytes) throw new EvidenceError("a checkpoint's root must be 32 bytes");
  return { origin, size: fromDecimal(size, "a checkpoint's size"), root: hash, note: signed };
}

/** Reads a checkpoint of `origin` signed by one of its `keys`; throws an EvidenceError for every other. */
export function verifyCheckpoint(
  note: string,
  origin: string,
  keys: readonly VerifierKey[],
): SignedCheckpoint {
  const checkpoint = parseCheckpoint(note);
  if (checkpoint.origin !== origin) {
    throw new EvidenceError(`the checkpoint is of ${checkpoint.origin}, not of ${origin}`);
  }
  verifyNote(checkpoint.note, keys);
  return checkpoint;
}
