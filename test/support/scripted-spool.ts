/**
 * A writer on a faulty disk, driven step by step: its timers run when they are told to, its syncs end at once, and what
 * it said is kept. For tests that put one fault in one chosen place. Asserts nothing.
 */
import { parseEnvelope } from "../../src/audit/envelope.ts";
import type { SpoolDisk } from "../../src/audit/spool/disk.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import {
  type FromSpool,
  renderLines,
  type SpoolWriterOptions,
} from "../../src/audit/spool/messages.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { openSpoolWriter } from "../../src/audit/spool/writer.ts";
import { createFaultyDisk } from "./faulty-disk.ts";
import { createRandom } from "./random.ts";
import { createSampleSealer } from "./sealing.ts";

export const scriptedDir = "/spool";

export function createScriptedSpool(options: Partial<SpoolWriterOptions> = {}) {
  const faulty = createFaultyDisk(createRandom(1));
  const said: FromSpool[] = [];
  let timers: { readonly delayMs: number; readonly run: () => void }[] = [];
  let ackedSeq = 0;

  /** Opens the spool as a new life of the process. */
  function open(disk: SpoolDisk = faulty.disk) {
    timers = [];
    return openSpoolWriter({
      dir: scriptedDir,
      logId: "log-1",
      disk,
      clock: { nowMs: () => 0, monotonicMs: () => 0 },
      sealer: createSampleSealer(),
      emit: (message) => {
        said.push(message);
        if (message.kind === "synced") ackedSeq = Math.max(ackedSeq, message.seq);
      },
      options: { segmentBytesMax: 4_096, reserveBytesMax: 1, probeIntervalMs: 500, ...options },
      later: (delayMs, run) => {
        const timer = { delayMs, run };
        timers.push(timer);
        return () => {
          timers = timers.filter((one) => one !== timer);
          return undefined;
        };
      },
    });
  }

  function endSyncs(): void {
    while (faulty.running.length > 0) faulty.running[0]?.end(null);
  }

  /** Lets every timer that waits now come due. */
  function runTimers(): void {
    for (const timer of timers.splice(0)) timer.run();
  }

  /** The records in the files, in order: a segment's content ends where its successor begins. */
  function stored() {
    const segments = listSegments(scriptedDir, faulty.disk.list(scriptedDir));
    return segments.flatMap(({ path }, index) => {
      const next = segments[index + 1]?.firstSeq ?? Number.POSITIVE_INFINITY;
      return scanSegment(faulty.disk.read(path)).records.flatMap((record) => {
        const envelope = parseEnvelope(record.envelope);
        return envelope === undefined || envelope.seq >= next
          ? []
          : [{ ...envelope, leaf: record.leaf, from: record.from, to: record.to }];
      });
    });
  }

  return { faulty, said, open, endSyncs, runTimers, stored, ackedSeq: () => ackedSeq };
}

/** One record that somebody waits for. */
export function recordLines(id: number, bytes = 200): string {
  const facts = JSON.stringify({ id, text: "x".repeat(bytes) });
  const body = `"time":1,"event":"admin.change","class":"A","facts":${facts}`;
  return renderLines("!", 0, { body, values: "{}" });
}
