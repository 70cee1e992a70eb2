/**
 * The spool's thread: owns the segment files and runs the writer on them, so no call's event loop ever waits for
 * the disk. Started by `spool.ts` through `lib/worker.ts`; an extra entry point of the executable.
 */
import { systemClock } from "../../lib/clock.ts";
import type { FromSpool, ToSpool } from "./messages.ts";
import { realDisk } from "./segment.ts";
import { openSpoolWriter, type SpoolWriter } from "./writer.ts";

declare const self: Worker;

let writer: SpoolWriter | undefined;

function emit(message: FromSpool): void {
  self.postMessage(message);
}

function open(message: Exclude<ToSpool, string> & { readonly kind: "open" }): void {
  const { dir, logId, options } = message;
  try {
    writer = openSpoolWriter({ dir, logId, options, disk: realDisk, clock: systemClock, emit });
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
    case "remove":
      writer?.remove(message.firstSeq);
      break;
    case "shred":
      void writer?.shred(message.keys);
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
