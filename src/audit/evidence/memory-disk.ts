/** Tiles in memory, for a tree that is made to answer one question: the same interface as the folder of evidence. */
import type { EvidenceDisk } from "./disk.ts";

export function createMemoryDisk(): EvidenceDisk {
  const files = new Map<string, Buffer>();
  return {
    read: (path) => files.get(path),
    write: (path, bytes) => void files.set(path, Buffer.from(bytes)),
    makeFolder: () => [],
    syncFolder: () => {},
    remove: (path) => void files.delete(path),
    list: () => [],
  };
}
