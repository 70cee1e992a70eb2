/**
 * Names, modes and locking of the spool directory. Segments are `<first seq>.seg`; a segment being made is `.new`
 * until its header and first records are synced. Used behind the disk seam (`disk.ts`) and, for reading, by the shipper.
 */
import { Database } from "bun:sqlite";
import * as fs from "node:fs";
import { join } from "node:path";

export const unfinishedSuffix = ".new";
/** A segment with damage, after it was healed. */
export const keptSuffix = ".kept";
const damagedSuffix = ".damaged";
const segmentPattern = /^(\d{16})\.seg$/;

export interface SegmentFile {
  readonly path: string;
  readonly firstSeq: number;
}

export function segmentPath(dir: string, firstSeq: number): string {
  return join(dir, `${String(firstSeq).padStart(16, "0")}.seg`);
}

/** The segments in order of their first sequence number. `names`: what is in the directory. */
export function listSegments(
  dir: string,
  names: readonly string[] = fs.readdirSync(dir),
): readonly SegmentFile[] {
  const found: SegmentFile[] = [];
  for (const name of names) {
    const match = segmentPattern.exec(name);
    if (match?.[1] !== undefined) found.push({ path: join(dir, name), firstSeq: Number(match[1]) });
  }
  return found.sort((a, b) => a.firstSeq - b.firstSeq);
}

/** Makes the directory if it is missing; refuses a symbolic link and anything others can enter (ST-15). */
export function prepareSpoolDir(dir: string): void {
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stat = fs.lstatSync(dir);
  if (!stat.isDirectory()) throw new Error(`the spool ${dir} must be a directory, not a link`);
  if ((stat.mode & 0o077) !== 0) {
    throw new Error(`the spool ${dir} must be closed to others: mode 0700`);
  }
  for (const name of fs.readdirSync(dir)) {
    const path = join(dir, name);
    if (fs.lstatSync(path).isSymbolicLink()) throw new Error(`${path} must not be a link`);
    if (name.endsWith(unfinishedSuffix)) fs.unlinkSync(path);
  }
}

/** The mark of a segment with damage: it is evidence, and stays until an operator takes it away (ST-14). */
export function damagedMark(path: string): string {
  return path + damagedSuffix;
}

/** Its damage was healed. */
export function unmarkDamaged(path: string): void {
  fs.rmSync(damagedMark(path), { force: true });
}

export function isDamaged(path: string): boolean {
  return fs.existsSync(damagedMark(path));
}

/**
 * Takes the directory for this process until it ends, however it ends (ST-17). The runtime has no flock; SQLite's
 * exclusive lock is one the kernel drops with the process, and unlike a plain fcntl lock it also refuses a second
 * opener inside the same process.
 */
export function lockSpool(dir: string): () => void {
  return lockFile(join(dir, "lock"), `the spool ${dir} is in use by another process`);
}

/**
 * Taken by whoever writes closed segments anew: shredding on the spool's thread and healing on the monitor's. Throws
 * where the other one has it.
 */
export function lockRewriting(dir: string): () => void {
  return lockFile(join(dir, "rewriting"), "segments are being written anew");
}

function lockFile(path: string, refusal: string): () => void {
  const database = new Database(path);
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw new Error(refusal, { cause });
  }
  fs.chmodSync(path, 0o600);
  return () => database.close();
}
