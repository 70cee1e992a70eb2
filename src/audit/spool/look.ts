/**
 * Finds the records whose sealed parts lie under given keys, a page at a time: as many as a person has would fill the
 * memory. Runs on the spool's thread, between records. Each page begins where the one before ended, by number, so
 * segments may end, go or be written anew in between. Called by `serve.ts`.
 */
import { reasonOf } from "./disk.ts";
import type { FromSpool, Look, SealedFrame, SealedPage } from "./messages.ts";
import type { SpoolReader } from "./reader.ts";
import { isNamed } from "./shred.ts";

/** Read before the thread turns to its records again. */
const readTogetherMax = 500;

/** Finds what lies under the keys, and reports `looked` or `not-looked`. */
export async function lookIntoSpool(
  reader: SpoolReader,
  keys: ReadonlySet<string>,
  look: Look,
  emit: (message: FromSpool) => void,
): Promise<void> {
  try {
    emit({ kind: "looked", ...(await findSealed(reader, keys, look)) });
  } catch (error) {
    emit({ kind: "not-looked", reason: reasonOf(error) });
  }
}

/** Ends where a further read might not fit the page: the next one goes on where the reader stands. */
export async function findSealed(
  reader: SpoolReader,
  keys: ReadonlySet<string>,
  { afterSeq, untilSeq, framesMax }: Look,
): Promise<SealedPage> {
  const found: SealedFrame[] = [];
  const limit = Math.min(readTogetherMax, framesMax);
  let seq = afterSeq;
  while (found.length + limit <= framesMax) {
    const records = await reader.read(seq, untilSeq, limit);
    const last = records.at(-1);
    if (last === undefined) return { found, seq: untilSeq };
    for (const { seq, leaf, details } of records) {
      if (isNamed(details, keys)) found.push({ seq, leaf });
    }
    seq = last.seq;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { found, seq };
}
