/** What is wrong with a piece of evidence (a note, a checkpoint, a proof, a key), in a sentence for who brought it. */
export class EvidenceError extends Error {
  override readonly name = "EvidenceError";
}
