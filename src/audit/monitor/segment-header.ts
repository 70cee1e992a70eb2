/**
 * The header a segment opens with, read by itself: recovery begins there, so a segment whose header is gone is damaged
 * although all its records are sound. Used by the monitor.
 */
import * as fs from "node:fs";
import { decodeFrame, frameBytesMax, frameHeadBytes, type SegmentHeader } from "../spool/format.ts";

/** Most headers are a few hundred bytes: open intents are as many as calls in flight. */
const firstBytes = 16 * 1024;

/** Undefined where it is damaged, or the file is not there. */
export function readSegmentHeader(path: string): SegmentHeader | undefined {
  let file: number;
  try {
    file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    return decode(file, firstBytes) ?? decode(file, frameBytesMax + frameHeadBytes);
  } finally {
    fs.closeSync(file);
  }
}

function decode(file: number, length: number): SegmentHeader | undefined {
  const bytes = Buffer.alloc(length);
  const read = fs.readSync(file, bytes, 0, length, 0);
  try {
    const decoded = decodeFrame(bytes.subarray(0, read), 0);
    return decoded.kind === "header" ? decoded.header : undefined;
  } catch {
    // One of another version, in a spool of this one.
    return undefined;
  }
}
