/**
 * What the spool's thread does with the messages it gets: opens the writer, seals and appends, removes, closes. Apart from
 * `worker.ts` so that the crash tests can run it on a disk that ends the process.
 */
import { systemClock } from "../../lib/clock.ts";
import { createSealer } from "../sealer.ts";
import type { SpoolDisk } from "./disk.ts";
import { lookIntoSpool } from "./look.ts";
import type { ToSpool } from "./messages.ts";
import { createPacking } from "./packing.ts";
import { withQuickSync } from "./quick-sync.ts";
import { createSpoolReader, type SpoolReader } from "./reader.ts";
import { shredSpool } from "./shred-run.ts";
import { openSpoolWriter, type SpoolWriter } from "./writer.ts";

/** Answers the messages of `port`'s other end. */
export function serveSpool(port: Pick<Worker, "onmessage" | "postMessage">, disk: SpoolDisk): void {
  let writer: SpoolWriter | undefined;
  /** For looks, which follow one another: it knows where the last one ended. */
  let reader: SpoolReader | undefined;
  let dir = "";
  const sealer = createSealer();
  const { emit, flush } = createPacking((message) => port.postMessage(message));
  port.onmessage = ({ data: message }: MessageEvent<ToSpool>) => {
    if (typeof message === "string") writer?.append(message);
    else command(message);
    flush();
  };

  function open(message: Exclude<ToSpool, string> & { readonly kind: "open" }): void {
    const { logId, options } = message;
    dir = message.dir;
    try {
      const quick = withQuickSync(disk, systemClock);
      const own = { disk: quick, clock: systemClock, sealer, emit };
      writer = openSpoolWriter({ dir, logId, options, ...own });
    } catch (error) {
      emit({ kind: "not-opened", message: error instanceof Error ? error.message : String(error) });
    }
  }

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
      case "shred":
        if (writer !== undefined) {
          void shredSpool({ writer, disk, dir }, new Set(message.keys), emit);
        }
        break;
      case "look":
        if (writer !== undefined) {
          reader ??= createSpoolReader(dir);
          void lookIntoSpool(reader, new Set(message.keys), message, emit);
        }
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
}
