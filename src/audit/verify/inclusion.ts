/** Whether one record is in the tree of a checkpoint, by the proof that came with it. */
import { parseCheckpoint, type SignedCheckpoint } from "../evidence/checkpoint.ts";
import { isSame, rootOfInclusion } from "../evidence/tree.ts";

/** `proof` is base64, from the leaf's sibling upwards. Who signed the checkpoint is looked at elsewhere. */
export function isIncluded(
  note: string,
  seq: number,
  leaf: string,
  proof: readonly string[],
): boolean {
  let checkpoint: SignedCheckpoint;
  try {
    checkpoint = parseCheckpoint(note);
  } catch {
    return false;
  }
  const root = rootOfInclusion({
    index: seq - 1,
    size: checkpoint.size,
    leaf: Buffer.from(leaf, "hex"),
    proof: proof.map((text) => Buffer.from(text, "base64")),
  });
  return root !== undefined && isSame(root, checkpoint.root);
}
