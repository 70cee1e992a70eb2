/**
 * An empty file opened ahead, which becomes the next segment: the spool can begin one while the process has no file
 * descriptor left (ST-20). Used by the writer.
 */
import { join } from "node:path";
import type { SpoolDisk } from "./disk.ts";
import { unfinishedSuffix } from "./files.ts";

export interface SpareFile {
  readonly fd: number;
  readonly path: string;
}

export interface Spare {
  /** Hands over the file; throws where there is none and none can be made. */
  take(): SpareFile;
  /** Takes back a file in which nothing was begun rightly: it is removed. */
  discard(file: SpareFile): void;
  /** Opens one ahead where there is none; what hinders it shows when the file is taken. */
  renew(): void;
  close(): void;
}

export function createSpare(disk: SpoolDisk, dir: string): Spare {
  let spare: SpareFile | undefined;
  let made = 0;

  function make(): SpareFile {
    made += 1;
    const path = join(dir, `spare-${made}${unfinishedSuffix}`);
    return { fd: disk.create(path), path };
  }

  function take(): SpareFile {
    const taken = spare ?? make();
    spare = undefined;
    return taken;
  }

  function discard({ fd, path }: SpareFile): void {
    attempt(() => disk.close(fd));
    attempt(() => disk.unlink(path));
  }

  function renew(): void {
    if (spare === undefined) attempt(() => (spare = make()));
  }

  function close(): void {
    if (spare !== undefined) discard(spare);
    spare = undefined;
  }

  return { take, discard, renew, close };
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // The file is not part of the log; a left-over one is removed at the next start.
  }
}
