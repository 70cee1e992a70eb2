/**
 * The notary's thread: hands what it is told to the notary and sees that a checkpoint is signed when it is due. Between
 * records it sleeps: there is a timer only while something waits for a signature. Started by `notary-thread.ts`; an
 * extra entry point of the executable.
 */
import { systemClock } from "../../lib/clock.ts";
import { realEvidenceDisk } from "./disk.ts";
import { EvidenceError } from "./evidence-error.ts";
import { createNotary, type Notary } from "./notary.ts";
import type { FromNotary, NotaryAnswer, ToNotary } from "./notary-messages.ts";

declare const self: Worker;

let notary: Notary | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

function emit(message: FromNotary): void {
  self.postMessage(message);
}

self.onmessage = ({ data: message }: MessageEvent<ToNotary>) => {
  take(message);
  if (message.kind !== "close") signWhenDue();
};

function signWhenDue(): void {
  clearTimeout(timer);
  timer = undefined;
  const dueInMs = notary?.dueInMs();
  if (dueInMs === undefined) return;
  timer = setTimeout(() => {
    notary?.signDue();
    signWhenDue();
  }, dueInMs);
}

function take(message: ToNotary): void {
  switch (message.kind) {
    case "open":
      notary = createNotary({ ...message, disk: realEvidenceDisk, clock: systemClock, emit });
      notary.adopt(message.seq);
      return;
    case "begin":
      notary?.begin(message.seq);
      return;
    case "synced":
      notary?.noteSynced(message.seq);
      return;
    case "leaf":
      emit({ kind: "answer", id: message.id, answer: answerLeaf(message.seq) });
      return;
    case "prove":
      emit({ kind: "answer", id: message.id, answer: answerProof(message.wanted) });
      return;
    case "close":
      clearTimeout(timer);
      notary?.close(message.seq);
      emit({ kind: "closed" });
      return;
    default:
      message satisfies never;
  }
}

function answerLeaf(seq: number): NotaryAnswer {
  const leaf = notary?.leafAt(seq);
  return leaf === undefined ? { error: `record ${seq} could not be read back` } : { leaf };
}

function answerProof(wanted: Extract<ToNotary, { kind: "prove" }>["wanted"]): NotaryAnswer {
  try {
    if (notary === undefined) throw new EvidenceError("the notary was not opened");
    return { proved: notary.prove(wanted) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
