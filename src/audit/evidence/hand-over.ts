/**
 * How a node's key is followed by another: both sign one statement that names them (K-03), so whoever knows the old key
 * comes to know the new one from the record alone, and nobody can be made a successor against their will.
 */
import { EvidenceError } from "./evidence-error.ts";
import { isSignedBy, parseVerifierKey, renderVerifierKey, type SigningKey } from "./keys.ts";
import { fromBase64, toBase64 } from "./spelling.ts";

/** Facts of a `keys.rotated` record of purpose `node`, named as they are recorded. */
export interface HandOver {
  /** vkeys. */
  readonly oldKey: string;
  readonly newKey: string;
  /** Base64 of each key's signature over the statement. */
  readonly oldSignature: string;
  readonly newSignature: string;
}

export function handOver(oldKey: SigningKey, newKey: SigningKey): HandOver {
  const names = {
    oldKey: renderVerifierKey(oldKey.verifier),
    newKey: renderVerifierKey(newKey.verifier),
  };
  const statement = renderStatement(oldKey.verifier.name, names);
  return {
    ...names,
    oldSignature: toBase64(oldKey.sign(statement)),
    newSignature: toBase64(newKey.sign(statement)),
  };
}

function renderStatement(
  origin: string,
  { oldKey, newKey }: Pick<HandOver, "oldKey" | "newKey">,
): string {
  return `mcp-gateway node key v1\n${origin}\n${oldKey}\n${newKey}\n`;
}

/** The key that follows; throws an EvidenceError unless both signed. Whether the old one is known is the caller's. */
export function verifyHandOver(facts: HandOver) {
  const oldKey = parseVerifierKey(facts.oldKey);
  const newKey = parseVerifierKey(facts.newKey);
  if (oldKey.name !== newKey.name) {
    throw new EvidenceError(`a key of ${oldKey.name} cannot be followed by one of ${newKey.name}`);
  }
  const statement = renderStatement(oldKey.name, facts);
  const isSigned =
    isSignedBy(oldKey, statement, fromBase64(facts.oldSignature, "the old key's signature")) &&
    isSignedBy(newKey, statement, fromBase64(facts.newSignature, "the new key's signature"));
  if (!isSigned) throw new EvidenceError("the hand-over is not signed by both keys");
  return { oldKey, newKey };
}
