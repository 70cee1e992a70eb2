/**
 * A file of JSON lines that begins anew when it is full or the day (UTC) is over; the finished ones are kept by number
 * (D04, D14). Its own calls to the disk run beside the thread, so a file system that hangs holds up no other sink.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { Sink, SinkLine } from "./sink.ts";

export interface FileSinkOptions {
  readonly path: string;
  readonly rotateBytes: number;
  readonly rotateDaily: boolean;
  readonly keepFiles: number;
  /** Whether `settle` forces what was written to the disk. */
  readonly sync: boolean;
}

interface OpenFile {
  readonly file: FileHandle;
  readonly day: string;
  size: number;
}

export function createFileSink(options: FileSinkOptions, clock: Clock): Sink {
  const { path } = options;
  let current: OpenFile | undefined;

  async function write(lines: readonly SinkLine[]): Promise<void> {
    let chunk = "";
    let chunkBytes = 0;
    for (const { text } of lines) {
      const bytes = Buffer.byteLength(text) + 1;
      current ??= await openFile(path, clock);
      const isFull = current.size + chunkBytes > 0 && isDue(current, chunkBytes + bytes);
      if (isFull) {
        await append(current, chunk);
        await rotate(current);
        current = await openFile(path, clock);
        chunk = "";
        chunkBytes = 0;
      }
      chunk += `${text}\n`;
      chunkBytes += bytes;
    }
    if (current !== undefined) await append(current, chunk);
  }

  function isDue({ size, day }: OpenFile, more: number): boolean {
    return (
      size + more > options.rotateBytes || (options.rotateDaily && day !== dayOf(clock.nowMs()))
    );
  }

  async function rotate({ file }: OpenFile): Promise<void> {
    if (options.sync) await file.datasync();
    current = undefined;
    await file.close();
    await rename(path, await finishedPath(path, clock.nowMs()));
    const finished = await listFinished(path);
    const surplus = finished.slice(0, Math.max(0, finished.length - options.keepFiles));
    for (const name of surplus) await rm(join(dirname(path), name), { force: true });
  }

  return {
    isAcknowledged: false,
    write,
    async settle() {
      if (options.sync) await current?.file.datasync();
    },
    async close() {
      const closing = current;
      current = undefined;
      await closing?.file.close();
    },
  };
}

async function openFile(path: string, clock: Clock): Promise<OpenFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    const { size, mtimeMs } = await file.stat();
    const opened = { file, size, day: dayOf(size === 0 ? clock.nowMs() : mtimeMs) };
    await closeTornLine(opened);
    return opened;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A crash may have cut the last line: what follows must not be joined to it. */
async function closeTornLine(opened: OpenFile): Promise<void> {
  if (opened.size === 0) return;
  const { buffer } = await opened.file.read(Buffer.alloc(1), 0, 1, opened.size - 1);
  if (buffer[0] !== 0x0a) await append(opened, "\n");
}

/** All of it or nothing: a line that a full disk cut in half would be no line. */
async function append(opened: OpenFile, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  let at = 0;
  try {
    while (at < bytes.length) {
      const { bytesWritten } = await opened.file.write(bytes, at, bytes.length - at);
      if (bytesWritten === 0) throw new Error("the disk took no bytes");
      at += bytesWritten;
    }
  } catch (error) {
    await opened.file.truncate(opened.size);
    throw error;
  }
  opened.size += bytes.length;
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/** `audit.json.2026-11-21T16-41-05.123Z`: names sort by time, and one made in the same moment gets a number. */
async function finishedPath(path: string, nowMs: number): Promise<string> {
  const stamp = new Date(nowMs).toISOString().replaceAll(":", "-");
  const taken = await listFinished(path);
  for (let number = 0; ; number += 1) {
    const name = `${basename(path)}.${stamp}.${String(number).padStart(3, "0")}`;
    if (!taken.includes(name)) return join(dirname(path), name);
  }
}

/** Oldest first. */
async function listFinished(path: string): Promise<readonly string[]> {
  const opening = `${basename(path)}.`;
  const stamp = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.\d{3,}$/;
  const names = await readdir(dirname(path));
  return names
    .filter((name) => name.startsWith(opening) && stamp.test(name.slice(opening.length)))
    .sort();
}
