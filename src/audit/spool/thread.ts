/**
 * The main thread's end of the spool's thread: posting, receiving, and knowing when it died. A seam of three
 * functions, so tests can put a disk that hangs behind `spool.ts`.
 */
import { startWorker } from "../../lib/worker.ts";
import type { FromSpool, ToSpool } from "./messages.ts";

export interface SpoolThread {
  post(message: ToSpool): void;
  /** Ends the thread at once. */
  terminate(): void;
}

export interface SpoolThreadEvents {
  readonly received: (message: FromSpool) => void;
  readonly died: (reason: string) => void;
}

export type StartSpoolThread = (events: SpoolThreadEvents) => SpoolThread;

export const startSpoolThread: StartSpoolThread = (events) => {
  const worker = startWorker("audit/spool/worker");
  worker.onmessage = ({ data: message }: MessageEvent<FromSpool>) => events.received(message);
  worker.onerror = (event) => events.died(event.message);
  return {
    post(message) {
      if (typeof message === "string" || message.kind !== "pair") worker.postMessage(message);
      else handOver(worker, message);
    },
    terminate: () => worker.terminate(),
  };
};

/**
 * The key goes over as it is: a copy in a message is memory that nobody can zero. Nor is one that the runtime leaves
 * behind where a small array gets its buffer late, so the buffer is there first.
 */
function handOver(worker: Worker, { kind, pair }: Extract<ToSpool, { kind: "pair" }>): void {
  const key = new Uint8Array(new ArrayBuffer(pair.key.length));
  key.set(pair.key);
  worker.postMessage({ kind, pair: { ...pair, key } } satisfies ToSpool, [key.buffer]);
}
