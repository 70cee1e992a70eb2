/**
 * How a boot key comes to be believed: the node's key signs its name, and the tree it was started on. The statement
 * is a signed note, so its parts in a `lifecycle.started` record can be put together again and checked by any tool
 * that knows notes. It says nothing of later boots: each key dies with its process.
 */
import { EvidenceError } from "./evidence-error.ts";
import {
  noteType,
  parseVerifierKey,
  renderVerifierKey,
  type SigningKey,
  type VerifierKey,
} from "./keys.ts";
import { parseNote, renderNote, type SignedNote, signText, verifyNote } from "./note.ts";
import { fromBase64, fromDecimal, toBase64 } from "./spelling.ts";

/** The facts of a `lifecycle.started` record that concern keys, named as they are recorded. */
export interface BootCertificate {
  readonly bootKey: string;
  readonly nodeKey: string;
  /** Base64 of the node key's signature over the statement. */
  readonly bootSignature: string;
  readonly treeSize: number;
  /** Hex. */
  readonly treeRoot: string;
}

/** Of such a record, whatever it says; undefined where it certifies no key. */
export function findBootCertificate(
  facts: Readonly<Record<string, unknown>>,
): BootCertificate | undefined {
  if (facts.bootKey === undefined) return undefined;
  return {
    bootKey: String(facts.bootKey),
    nodeKey: String(facts.nodeKey),
    bootSignature: String(facts.bootSignature),
    treeSize: Number(facts.treeSize),
    treeRoot: String(facts.treeRoot),
  };
}

const firstLine = "mcp-gateway boot key v1";

/** Certifies a boot key that adopts the tree of `size` leaves. Both keys are named by the log's origin. */
export function certifyBootKey(
  nodeKey: SigningKey,
  bootKey: VerifierKey,
  tree: { readonly size: number; readonly root: Uint8Array },
): BootCertificate {
  const parts = {
    bootKey: renderVerifierKey(bootKey),
    nodeKey: renderVerifierKey(nodeKey.verifier),
    treeSize: tree.size,
    treeRoot: Buffer.from(tree.root).toString("hex"),
  };
  const signature = signText(renderStatement(bootKey.name, parts), nodeKey);
  return { ...parts, bootSignature: toBase64(signature.bytes) };
}

function renderStatement(
  origin: string,
  { bootKey, treeSize, treeRoot }: Omit<BootCertificate, "bootSignature" | "nodeKey">,
): string {
  return `${firstLine}\n${origin}\n${bootKey}\n${treeSize}\n${treeRoot}\n`;
}

/** The certificate as a signed note. */
export function renderBootCertificate(certificate: BootCertificate): string {
  const { name, id } = parseVerifierKey(certificate.nodeKey);
  const bytes = fromBase64(certificate.bootSignature, "a boot key's signature");
  const text = renderStatement(name, certificate);
  return renderNote({ text, signatures: [{ name, keyId: id, bytes }] });
}

/** The boot key that a certificate note makes known; throws an EvidenceError unless `nodeKeys` signed it. */
export function verifyBootCertificate(
  certificate: string,
  nodeKeys: readonly VerifierKey[],
): { readonly key: VerifierKey; readonly origin: string; readonly treeSize: number } {
  const note = parseNote(certificate);
  verifyNote(note, nodeKeys);
  return readStatement(note);
}

function readStatement({ text }: SignedNote) {
  const [first, origin = "", bootKey = "", size = "", root = "", ...more] = text.split("\n");
  if (first !== firstLine || more.length !== 1 || !/^[0-9a-f]{64}$/.test(root)) {
    throw new EvidenceError(`a boot key's certificate must be a note that begins ${firstLine}`);
  }
  const key = parseVerifierKey(bootKey);
  if (key.name !== origin || key.type !== noteType) {
    throw new EvidenceError(`the boot key is not one that signs for ${origin}`);
  }
  return { key, origin, treeSize: fromDecimal(size, "a boot key's tree size") };
}
