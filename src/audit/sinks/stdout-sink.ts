/**
 * Lines on standard output, between the gateway's own log lines (D04). Written in pieces of whole lines that a pipe
 * takes whole or not at all, so the two never stand inside each other; a reader that does not read holds up only this.
 */
import { write as writeFd } from "node:fs";
import type { Sink, SinkLine } from "./sink.ts";

/** What a pipe takes in one go (PIPE_BUF on Linux). */
const pieceBytesMax = 4096;
const retryAfterMs = 20;

/** One a process: what a deadline gave up on may still be under way, and comes before what is written next. */
export function createStdoutSink(fd = 1): Sink {
  let before: Promise<void> = Promise.resolve();
  return {
    isAcknowledged: true,
    write(lines) {
      before = before.catch(() => {}).then(() => writeAll(fd, lines));
      return before;
    },
    settle: async () => {},
    close: async () => {},
  };
}

async function writeAll(fd: number, lines: readonly SinkLine[]): Promise<void> {
  let piece = "";
  let bytes = 0;
  for (const { text } of lines) {
    const more = Buffer.byteLength(text) + 1;
    if (bytes > 0 && bytes + more > pieceBytesMax) {
      await writePiece(fd, Buffer.from(piece));
      piece = "";
      bytes = 0;
    }
    piece += `${text}\n`;
    bytes += more;
  }
  await writePiece(fd, Buffer.from(piece));
}

async function writePiece(fd: number, piece: Buffer): Promise<void> {
  for (let at = 0; at < piece.length; ) {
    try {
      at += await writeSome(fd, piece, at);
    } catch (error) {
      // The pipe is full, and somebody made it non-blocking.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      await Bun.sleep(retryAfterMs);
    }
  }
}

function writeSome(fd: number, piece: Buffer, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writeFd(fd, piece, at, piece.length - at, null, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}
