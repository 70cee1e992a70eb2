/**
 * Everything the spool does with files, as one narrow interface, so that a disk which fails, lies or loses power can
 * stand behind the writer and recovery in tests. `realDisk` is the only one that the product has.
 */
import * as fs from "node:fs";
import { lockSpool, prepareSpoolDir } from "./files.ts";

export interface SpoolDisk {
  /** Makes the folder, refuses one that others can enter, and takes it for this process (ST-15, ST-17). */
  take(dir: string): SpoolFolder;
  /** Names in the folder. */
  list(dir: string): readonly string[];
  size(path: string): number;
  read(path: string): Buffer;
  /** Which file has the name, as long as it has it; undefined where none has. */
  identify(path: string): FileIdentity | undefined;
  /** Opens a file for `readAt`. */
  openToRead(path: string): number;
  /** May give less than there is room for; returns how much. */
  readAt(fd: number, into: Uint8Array, from: number, length: number, position: number): number;
  /** Segments go by their age, which is that of their records. */
  setAge(path: string, modifiedMs: number): void;
  /** Opens a new file for writing; throws where there is one of that name. */
  create(path: string): number;
  /** Opens a file for writing. */
  open(path: string): number;
  close(fd: number): void;
  /** May take less than it was given; returns how much. */
  write(fd: number, bytes: Uint8Array, from: number, length: number, position: number): number;
  truncate(fd: number, length: number): void;
  /** Off the thread, or done before it returns where it is sure to be quick. */
  sync(fd: number, done: (error: Error | null) => void): void;
  syncNow(fd: number): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Bytes that the file system has left for this process. */
  free(dir: string): number;
}

export interface FileIdentity {
  readonly inode: number;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface SpoolFolder {
  /** Makes directory entries (new, renamed and removed files) durable. */
  sync(): void;
  release(): void;
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

export const realDisk: SpoolDisk = {
  take: takeFolder,
  list: (dir) => fs.readdirSync(dir),
  size: (path) => fs.statSync(path).size,
  read: (path) => fs.readFileSync(path),
  identify: (path) => {
    const found = fs.statSync(path, { throwIfNoEntry: false });
    return found && { inode: found.ino, bytes: found.size, modifiedMs: found.mtimeMs };
  },
  openToRead: (path) => fs.openSync(path, O_RDONLY | O_NOFOLLOW),
  readAt: (fd, into, from, length, position) => fs.readSync(fd, into, from, length, position),
  setAge: (path, modifiedMs) => fs.utimesSync(path, modifiedMs / 1000, modifiedMs / 1000),
  create: (path) => fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
  open: (path) => fs.openSync(path, O_WRONLY | O_NOFOLLOW),
  close: (fd) => fs.closeSync(fd),
  write: (fd, bytes, from, length, position) => fs.writeSync(fd, bytes, from, length, position),
  truncate: (fd, length) => fs.ftruncateSync(fd, length),
  sync: (fd, done) => fs.fdatasync(fd, done),
  syncNow: (fd) => fs.fdatasyncSync(fd),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  free: (dir) => {
    const { bavail, bsize } = fs.statfsSync(dir);
    return bavail * bsize;
  },
};

function takeFolder(dir: string): SpoolFolder {
  prepareSpoolDir(dir);
  const unlock = lockSpool(dir);
  // Open for as long as the spool is: with no file descriptor left, entries can still be made durable (ST-20).
  const fd = fs.openSync(dir, O_RDONLY | O_DIRECTORY);
  let isReleased = false;
  return {
    sync: () => {
      // Its descriptor may be another file's by now.
      if (isReleased) throw new Error("the spool is closed");
      fs.fsyncSync(fd);
    },
    release: () => {
      isReleased = true;
      fs.closeSync(fd);
      unlock();
    },
  };
}

/** Why a call failed, in one word where the system gave one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
