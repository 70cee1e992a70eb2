/**
 * A witness elsewhere, asked as c2sp.org/tlog-witness says: another gateway node or any public one. Remembers the size
 * it last cosigned; where that is not what the witness says, the witness is believed and asked once more.
 */
import { parseCheckpoint } from "../evidence/checkpoint.ts";
import { EvidenceError } from "../evidence/evidence-error.ts";
import type { VerifierKey } from "../evidence/keys.ts";
import { type NoteSignature, parseNote, verifyNote } from "../evidence/note.ts";
import { fromDecimal } from "../evidence/spelling.ts";
import type { Post, PostAnswer } from "../post.ts";
import { renderAddCheckpoint } from "./add-checkpoint-message.ts";
import { type Witness, WitnessConflict, type WitnessedTree } from "./witness.ts";

export interface ExternalWitnessOptions {
  readonly name: string;
  /** The submission prefix: `/add-checkpoint` is added to it. */
  readonly url: string;
  /** Of type 4. */
  readonly key: VerifierKey;
  readonly timeoutMs: number;
}

export interface ExternalWitness extends Witness {
  /** The size it last cosigned, found out by asking with the given tree; 0 where it never did. */
  witnessedSize(tree: WitnessedTree): Promise<number>;
}

const answerBytesMax = 16 * 1024;
const sizeType = "text/x.tlog.size";

export function createExternalWitness(
  options: ExternalWitnessOptions,
  post: Post,
): ExternalWitness {
  let knownSize = 0;

  async function ask(tree: WitnessedTree, oldSize: number): Promise<PostAnswer> {
    const proof = oldSize === 0 ? [] : tree.prove(oldSize);
    return await post(`${options.url.replace(/\/$/, "")}/add-checkpoint`, {
      method: "POST",
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: renderAddCheckpoint({ oldSize, proof, checkpoint: tree.note }),
      timeoutMs: options.timeoutMs,
      bytesMax: answerBytesMax,
    });
  }

  async function witness(tree: WitnessedTree): Promise<readonly NoteSignature[]> {
    if (knownSize > tree.size) refuseSmaller(tree, knownSize);
    let answer = await ask(tree, knownSize);
    const stated = statedSize(answer);
    if (stated !== undefined) {
      if (stated > tree.size) refuseSmaller(tree, stated);
      // The one size it holds, and yet it is a conflict: the roots differ.
      if (stated === knownSize) refuseOther(knownSize);
      knownSize = stated;
      answer = await ask(tree, stated);
    }
    const cosignatures = takeCosignatures(answer, tree);
    knownSize = tree.size;
    return cosignatures;
  }

  function takeCosignatures(answer: PostAnswer, { note, size }: WitnessedTree) {
    if (answer.status === 200) return checkCosignatures(answer.text, note, options.key);
    if (answer.status === 422 || answer.status === 409) refuseOther(knownSize);
    throw new Error(`the witness answered ${answer.status} to a checkpoint of ${size} records`);
  }

  function refuseSmaller({ size }: WitnessedTree, witnessed: number): never {
    const message = `${options.name} cosigned ${witnessed} records, and this log has ${size}`;
    throw new WitnessConflict(message, witnessed);
  }

  function refuseOther(witnessed: number): never {
    const message = `${options.name} remembers another history of the first ${witnessed} records`;
    throw new WitnessConflict(message, witnessed);
  }

  return {
    name: options.name,
    kind: "external",
    witness,
    async witnessedSize(tree) {
      const answer = await ask(tree, 0);
      const stated = statedSize(answer);
      if (stated !== undefined) return stated;
      if (answer.status === 200) return tree.size;
      throw new Error(`the witness answered ${answer.status}`);
    },
  };
}

/** The size in a 409 that states one. */
function statedSize({ status, headers, text }: PostAnswer): number | undefined {
  const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (status !== 409 || type !== sizeType) return undefined;
  return fromDecimal(text.trimEnd(), "the size a witness states");
}

/** Those by the witness's key; throws where there is none, so that no answer counts that proves nothing. */
function checkCosignatures(
  lines: string,
  note: string,
  key: VerifierKey,
): readonly NoteSignature[] {
  const { text } = parseCheckpoint(note).note;
  const answered = parseNote(`${text}\n${lines}`);
  verifyNote(answered, [key]);
  const own = answered.signatures.filter(
    ({ name, keyId }) => name === key.name && keyId === key.id,
  );
  if (own.length > 0) return own;
  throw new EvidenceError("the witness's answer holds no signature of its own");
}
