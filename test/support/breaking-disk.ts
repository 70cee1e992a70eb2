/**
 * A folder of evidence in memory that ends like a power loss between any two steps: what was not synced in its folder is
 * gone, and a file under way is not there. Counts its steps, so that a test can end it at each of them in turn. No
 * assertions.
 */
import { dirname } from "node:path";
import type { EvidenceDisk } from "../../src/audit/evidence/disk.ts";

export class PowerLoss extends Error {}

export interface BreakingDisk extends EvidenceDisk {
  /** Steps so far that change something. */
  steps(): number;
  /** Ends at the step of this number, counted from now on. */
  breakAt(step: number): void;
  /** The disk as it is found when power is back. */
  restart(): void;
}

interface Entry {
  /** Undefined where it is a folder. */
  readonly bytes: Buffer | undefined;
}

export function createBreakingDisk(root: string): BreakingDisk {
  let durable = new Map<string, Entry>([[root, { bytes: undefined }]]);
  let current = new Map(durable);
  let steps = 0;
  let endsAt = Number.POSITIVE_INFINITY;

  function step(): void {
    steps += 1;
    if (steps >= endsAt) throw new PowerLoss(`power went at step ${steps}`);
  }

  function below(entries: Map<string, Entry>, path: string): string[] {
    return [...entries.keys()].filter((one) => one === path || one.startsWith(`${path}/`));
  }

  return {
    steps: () => steps,
    breakAt: (at) => {
      endsAt = steps + at;
    },
    restart: () => {
      endsAt = Number.POSITIVE_INFINITY;
      // An entry whose folder is not there cannot be reached.
      const isReachable = (path: string): boolean =>
        path === root || (durable.has(path) && isReachable(dirname(path)));
      durable = new Map([...durable].filter(([path]) => isReachable(path)));
      current = new Map(durable);
    },
    read: (path) => {
      const found = current.get(path)?.bytes;
      return found && Buffer.from(found);
    },
    write: (path, bytes) => {
      step();
      if (!current.has(dirname(path))) throw new Error(`ENOENT ${dirname(path)}`);
      current.set(path, { bytes: Buffer.from(bytes) });
    },
    makeFolder: (path) => {
      const changed: string[] = [];
      for (let at = path; !current.has(at); at = dirname(at)) {
        step();
        current.set(at, { bytes: undefined });
        changed.push(dirname(at));
      }
      return changed;
    },
    syncFolder: (path) => {
      step();
      const isIn = (one: string) => dirname(one) === path;
      for (const one of [...durable.keys()].filter(isIn))
        if (!current.has(one)) durable.delete(one);
      for (const [one, entry] of current) if (isIn(one)) durable.set(one, entry);
    },
    remove: (path) => {
      step();
      for (const one of below(current, path)) current.delete(one);
    },
    list: (path) => [...current.keys()].filter((one) => dirname(one) === path),
  };
}
