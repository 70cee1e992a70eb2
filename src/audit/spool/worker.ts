/**
 * The spool's thread: owns the segment files and runs the writer on them, and seals what it writes, so no call's
 * event loop ever waits for the disk or for a cipher. Started by `spool.ts` through `lib/worker.ts`; an extra entry point of the executable.
 */
import { systemClock } from "../../lib/clock.ts";
import { createSealer } from "../sealer.ts";
import { realDisk } from "./disk.ts";
import type { FromSpool, ToSpool } from "./messages.ts";
import { openSpoolWriter, type SpoolWriter } from "./writer.ts";

declare const self: Worker;

let writer: SpoolWriter | undefined;
const sealer = createSealer();

function emit(message: FromSpool): void {
  self.postMessage(message);
}

function open(message: Exclude<ToSpool, string> & { readonly kind: "open" }): void {
  const { dir, logId, options } = message;
  try {
    const own = { disk: realDisk, clock: systemClock, sealer, emit };
    writer = openSpoolWriter({ dir, logId, options, ...own });
  } catch (error) {
    emit({ kind: "not-opened", message: error instanceof Error ? error.message : String(error) });
  }
}

self.onmessage = ({ data: message }: MessageEvent<ToSpool>) => {
  if (typeof message === "string") writer?.append(message);
  else command(message);
};

function command(message: Exclude<ToSpool, string>): void {
  switch (message.kind) {
    case "open":
      open(message);
      break;
    case "pair":
      sealer.pair(message.pair);
      break;
    case "forget":
      sealer.forget(message.ref);
      break;
    case "index":
      sealer.index(message.index);
      break;
    case "remove":
      writer?.remove(message.firstSeq);
      break;
    case "tail":
      writer?.tail(message.on);
      break;
    case "close":
      if (writer === undefined) emit({ kind: "closed" });
      else writer.close();
      break;
    default:
      message satisfies never;
  }
}
