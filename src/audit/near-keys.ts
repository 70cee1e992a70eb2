/**
 * Tells a sealed part whose key id was damaged from one whose keys another vault holds: the first opens under ids that
 * differ from it in one digit, which by chance no other id does. Asked by `opener.ts` for verification; what was changed
 * in more digits cannot be told apart.
 */
import type { OpeningKeys, PairId } from "../vault/keys.ts";
import type { EnvelopeView } from "./envelope.ts";
import { openPart, type SealedPart } from "./sealing.ts";

export interface NearKeys {
  /** Whether a part that this vault has no key for opens under a neighbour of its ids. False where it cannot be asked. */
  isMisnamed(envelope: EnvelopeView, part: SealedPart): Promise<boolean>;
}

const digits = "0123456789abcdef";
/** Pairs remembered to have no neighbour: records of another vault share few. */
const strangersMax = 10_000;

export function createNearKeys(keys: Pick<OpeningKeys, "openingKeys">): NearKeys {
  const strangers = new Set<string>();
  return {
    async isMisnamed(envelope, part) {
      const name = `${part.subject} ${part.class}`;
      if (strangers.has(name)) return false;
      const pairs = neighboursOf(part);
      const found = await keys.openingKeys(pairs).catch(() => undefined);
      if (found === undefined) return false;
      let isMisnamed = false;
      let isStranger = true;
      for (const [index, key] of found.entries()) {
        if (key === "unknown") continue;
        isStranger = false;
        if (key === "destroyed") continue;
        isMisnamed ||= openPart(envelope, { ...part, ...pairs[index] }, key) !== undefined;
        key.fill(0);
      }
      if (strangers.size >= strangersMax) strangers.clear();
      if (isStranger) strangers.add(name);
      return isMisnamed;
    },
  };
}

/** The pairs in which one digit of one id is another one. */
function neighboursOf({ subject, class: classId }: PairId): readonly PairId[] {
  return [
    ...changed(subject).map((id) => ({ subject: id, class: classId })),
    ...changed(classId).map((id) => ({ subject, class: id })),
  ];
}

function changed(id: string): readonly string[] {
  return Array.from(id).flatMap((own, at) =>
    Array.from(digits)
      .filter((digit) => digit !== own)
      .map((digit) => id.slice(0, at) + digit + id.slice(at + 1)),
  );
}
