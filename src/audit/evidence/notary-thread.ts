/**
 * The main thread's end of the notary's thread. A seam of three functions, so that tests can put a notary behind
 * `evidence.ts` that is stuck. A thread that died is not started again: its key died with it, and a new key needs a new
 * start of the gateway.
 */
import { startWorker } from "../../lib/worker.ts";
import type { FromNotary, ToNotary } from "./notary-messages.ts";

export interface NotaryThread {
  post(message: ToNotary): void;
  /** Ends the thread at once. */
  terminate(): void;
}

export interface NotaryThreadEvents {
  readonly received: (message: FromNotary) => void;
  readonly died: (reason: string) => void;
}

export type StartNotaryThread = (events: NotaryThreadEvents) => NotaryThread;

export const startNotaryThread: StartNotaryThread = (events) => {
  const worker = startWorker("audit/evidence/notary-worker");
  worker.onmessage = ({ data: message }: MessageEvent<FromNotary>) => events.received(message);
  worker.onerror = (event) => events.died(event.message);
  return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
};
