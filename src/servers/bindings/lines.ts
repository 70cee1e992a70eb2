/**
 * Cuts a byte stream into UTF-8 lines, for stdio. Bounded: a line over the limit is reported once and ends the use
 * of the splitter. Chunks are joined only when a line is complete, so a slow long line costs linear time.
 */
import { decodeUtf8 } from "../../protocol/parse-message.ts";

const newline = 0x0a;

export interface LineSplitter {
  push(chunk: Uint8Array): void;
}

export function createLineSplitter(options: {
  readonly lineBytesMax: number;
  /** Without the line break and a carriage return before it; undefined where the bytes are not UTF-8. */
  readonly onLine: (line: string | undefined) => void;
  readonly onOverflow: () => void;
}): LineSplitter {
  let parts: Uint8Array[] = [];
  let collectedBytes = 0;
  let hasOverflowed = false;

  function takeLine(bytes: Uint8Array): void {
    const line = parts.length === 0 ? bytes : Buffer.concat([...parts, bytes]);
    parts = [];
    collectedBytes = 0;
    const isCrlf = line[line.length - 1] === 0x0d;
    options.onLine(decodeUtf8(isCrlf ? line.subarray(0, -1) : line));
  }

  function isWithinLimit(moreBytes: number): boolean {
    if (collectedBytes + moreBytes <= options.lineBytesMax) return true;
    hasOverflowed = true;
    parts = [];
    options.onOverflow();
    return false;
  }

  return {
    push(chunk) {
      let from = 0;
      while (!hasOverflowed) {
        const at = chunk.indexOf(newline, from);
        const end = at === -1 ? chunk.length : at;
        if (!isWithinLimit(end - from)) return;
        if (at === -1) break;
        takeLine(chunk.subarray(from, end));
        from = end + 1;
      }
      if (hasOverflowed || from >= chunk.length) return;
      parts.push(chunk.subarray(from));
      collectedBytes += chunk.length - from;
    },
  };
}
