/**
 * A small disk of its own for a folder, to be filled to the last byte: a tmpfs, where this process may mount one.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { temporaryFolder } from "./temporary-folder.ts";

export interface DiskOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Mounts a disk of this size at `path`; undefined where that is not permitted. */
export function mountSmallDisk(
  path: string,
  size: string,
  owner: DiskOwner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
): Disposable | undefined {
  const options = `size=${size},mode=700,uid=${owner.uid},gid=${owner.gid}`;
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]);
  if (mounted.exitCode !== 0) return undefined;
  return {
    [Symbol.dispose]() {
      Bun.spawnSync(["umount", path]);
    },
  };
}

/** Whether small disks can be had here; where not, says which tests that leaves out. */
export function canMount(ids: string): boolean {
  const folder = temporaryFolder("mount");
  using disk = mountSmallDisk(folder.path, "64k");
  if (disk === undefined) console.warn(`SKIPPED: mount -t tmpfs is not permitted here (${ids})`);
  return disk !== undefined;
}

/** Takes every byte the disk has left. */
export function fillDisk(path: string): void {
  const file = openSync(path, "w");
  try {
    for (let bytes = 64 * 1024; bytes >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(bytes));
      } catch {
        bytes = Math.floor(bytes / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}
