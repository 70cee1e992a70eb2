/**
 * Questions to the notary's thread and their answers, each with a deadline: a thread that is stuck answers nothing, and
 * nobody may wait for it for ever. Bounded: beyond so many open questions the next is refused.
 */
import { EvidenceError } from "./evidence-error.ts";
import type { NotaryAnswer, Proved, ToNotary, Wanted } from "./notary-messages.ts";

export interface Questions {
  /** Both reject with an EvidenceError where the notary cannot tell, or not in time. */
  leaf(seq: number, deadlineMs: number): Promise<string>;
  prove(wanted: Wanted, deadlineMs: number): Promise<Proved>;
  answered(id: number, answer: NotaryAnswer): void;
  refuseAll(reason: string): void;
}

const openMax = 10_000;

export function createQuestions(post: (message: ToNotary) => void): Questions {
  const open = new Map<number, PromiseWithResolvers<NotaryAnswer>>();
  let lastId = 0;

  async function ask(
    toMessage: (id: number) => ToNotary,
    deadlineMs: number,
  ): Promise<NotaryAnswer> {
    if (open.size >= openMax) throw new EvidenceError("the notary has too much to answer");
    lastId += 1;
    const id = lastId;
    const answer = Promise.withResolvers<NotaryAnswer>();
    open.set(id, answer);
    const timer = setTimeout(
      () => answer.reject(new EvidenceError("the notary did not answer in time")),
      deadlineMs,
    );
    post(toMessage(id));
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      open.delete(id);
    }
  }

  return {
    async leaf(seq, deadlineMs) {
      const answer = await ask((id) => ({ kind: "leaf", id, seq }), deadlineMs);
      if ("leaf" in answer) return answer.leaf;
      throw toError(answer);
    },
    async prove(wanted, deadlineMs) {
      const answer = await ask((id) => ({ kind: "prove", id, wanted }), deadlineMs);
      if ("proved" in answer) return answer.proved;
      throw toError(answer);
    },
    answered: (id, answer) => open.get(id)?.resolve(answer),
    refuseAll(reason) {
      for (const answer of open.values()) answer.reject(new EvidenceError(reason));
    },
  };
}

function toError(answer: NotaryAnswer): EvidenceError {
  return new EvidenceError(
    "error" in answer ? answer.error : "the notary answered another question",
  );
}
