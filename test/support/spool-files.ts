/**
 * Segment files with small records of one log, written at once and without the writer: for what reads the spool. No
 * assertions.
 */
import { writeFileSync } from "node:fs";
import { genesisLeaf } from "../../src/audit/envelope.ts";
import { segmentPath } from "../../src/audit/spool/files.ts";
import { encodeHeader, recordFrameBytesMax, writeRecord } from "../../src/audit/spool/format.ts";

export interface SpoolFiles {
  readonly logId: string;
  /** Leaf of each record, the first at 0; hex. */
  readonly leaves: readonly string[];
  /** Writes the next segment; events of its records, the last of which may be named. */
  write(count: number, lastEvent?: string): void;
}

export function createSpoolFiles(dir: string, logId = "log-1"): SpoolFiles {
  const leaves: string[] = [];
  return {
    logId,
    leaves,
    write(count, lastEvent = "admin.change") {
      const firstSeq = leaves.length + 1;
      const prev = leaves.at(-1) ?? genesisLeaf;
      const parts = [encodeHeader({ v: 2, log: logId, firstSeq, prev, openIntents: [] })];
      for (let at = 0; at < count; at += 1) {
        const event = at === count - 1 ? lastEvent : "admin.change";
        const facts = `"time":1,"event":"${event}","class":"A","facts":{},"commitment":""`;
        const place = `"seq":${leaves.length + 1},"prev":"${leaves.at(-1) ?? genesisLeaf}"`;
        const record = { envelope: `{"v":2,"log":"${logId}",${place},${facts}}`, details: "{}" };
        const frame = Buffer.alloc(recordFrameBytesMax(record));
        const { end, leaf } = writeRecord(frame, 0, record);
        parts.push(frame.subarray(0, end));
        leaves.push(leaf);
      }
      writeFileSync(segmentPath(dir, firstSeq), Buffer.concat(parts));
    },
  };
}
