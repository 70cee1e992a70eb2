/**
 * What the notary does to the folder of evidence, as one narrow interface, so that tests can end it between any two
 * steps. A file gets its name only whole and synced; a folder's entries are synced before anything counts on them.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";

export interface EvidenceDisk {
  /** The file's bytes; undefined where there is none. */
  read(path: string): Buffer | undefined;
  /** Puts a whole file under its name, over an older one of that name. Durable once its folder is synced. */
  write(path: string, bytes: Uint8Array): void;
  /** Makes the folders that are missing and says which folders have new entries by that. */
  makeFolder(path: string): readonly string[];
  syncFolder(path: string): void;
  /** Removes a file or a folder with all in it; no error where there is none. */
  remove(path: string): void;
  /** Names in a folder; none where there is no such folder. */
  list(path: string): readonly string[];
}

const unfinishedSuffix = ".new";
const { O_WRONLY, O_CREAT, O_TRUNC, O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

export const realEvidenceDisk: EvidenceDisk = {
  read,
  write,
  makeFolder,
  syncFolder,
  remove: (path) => fs.rmSync(path, { recursive: true, force: true }),
  list: (path) => (fs.existsSync(path) ? fs.readdirSync(path) : []),
};

function read(path: string): Buffer | undefined {
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return fs.readFileSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function write(path: string, bytes: Uint8Array): void {
  const unfinished = path + unfinishedSuffix;
  const fd = fs.openSync(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) {
      const count = fs.writeSync(fd, bytes, at, bytes.length - at, at);
      if (count === 0) throw new Error("the disk took no bytes");
      at += count;
    }
    fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(unfinished, path);
}

function makeFolder(path: string): readonly string[] {
  const first = fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return [];
  const changed: string[] = [];
  for (let at = path; at.length >= first.length; at = dirname(at)) changed.push(dirname(at));
  return changed;
}

function syncFolder(path: string): void {
  const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
