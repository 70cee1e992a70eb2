/** Spool segments with sealed parts of chosen keys, written without a writer. Asserts nothing. */
import { mkdirSync, writeFileSync } from "node:fs";
import { segmentPath } from "../../src/audit/spool/files.ts";
import { encodeHeader, recordFrameBytesMax, writeRecord } from "../../src/audit/spool/format.ts";

export interface SealedFrame {
  readonly seq: number;
  readonly subject: string;
  readonly class?: string;
}

/** The sealed part of a record under these keys; `secret` stands where the sealed bytes do. */
export function sealedPart(subject: string, secret: string, ofClass = "c".repeat(16)): string {
  const ids = `"subject":"${subject}","class":"${ofClass}"`;
  return `{"v":1,${ids},"salt":"${"0".repeat(32)}","tokens":{},"sealed":"${secret}"}`;
}

export function secretOf(seq: number): string {
  return `secret-of-${seq}-${"x".repeat(seq % 7)}`;
}

/** Writes one segment with these frames; bytes of `damage` stand before the last of them. */
export function writeSegment(dir: string, frames: readonly SealedFrame[], damage = ""): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const firstSeq = frames[0]?.seq ?? 1;
  const header = { v: 2, log: "log-1", firstSeq, prev: "0".repeat(64), openIntents: [] } as const;
  const parts = frames.map((frame, index) => {
    const envelope = `{"v":2,"log":"log-1","seq":${frame.seq},"prev":"","time":1}`;
    const record = {
      envelope,
      details: sealedPart(frame.subject, secretOf(frame.seq), frame.class),
    };
    const bytes = Buffer.alloc(recordFrameBytesMax(record));
    const { end } = writeRecord(bytes, 0, record);
    const before = index === frames.length - 1 ? damage : "";
    return Buffer.concat([Buffer.from(before), bytes.subarray(0, end)]);
  });
  const path = segmentPath(dir, firstSeq);
  writeFileSync(path, Buffer.concat([encodeHeader(header), ...parts]), { mode: 0o600 });
  return path;
}
