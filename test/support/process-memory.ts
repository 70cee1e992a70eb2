/** Looks for bytes in the memory of a running process (Linux). Asserts nothing. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const chunkBytes = 4 * 1024 * 1024;

/** How often each of the byte sequences stands in the process's writable memory that is in use. */
export function countInMemory(pid: number, needles: readonly Uint8Array[]): readonly number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const chunk = Buffer.alloc(chunkBytes);
  try {
    for (const { from, until } of usedRegions(pid)) {
      for (let at = from; at < until; at += chunkBytes - overlap) {
        const length = Math.min(chunkBytes, until - at);
        const bytes = chunk.subarray(0, readAt(memory, chunk, length, at));
        needles.forEach((needle, index) => {
          let found = bytes.indexOf(needle);
          while (found !== -1) {
            counts[index] = (counts[index] ?? 0) + 1;
            found = bytes.indexOf(needle, found + 1);
          }
        });
      }
    }
  } finally {
    closeSync(memory);
  }
  return counts;
}

/** A region that went away meanwhile reads as nothing. */
function readAt(memory: number, into: Buffer, length: number, at: number): number {
  try {
    return readSync(memory, into, 0, length, at);
  } catch {
    return 0;
  }
}

function usedRegions(pid: number): readonly { readonly from: number; readonly until: number }[] {
  const regions: { from: number; until: number }[] = [];
  let current: { from: number; until: number } | undefined;
  for (const line of readFileSync(`/proc/${pid}/smaps`, "utf8").split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) current = undefined;
    if (head !== null) {
      current = {
        from: Number.parseInt(head[1] ?? "", 16),
        until: Number.parseInt(head[2] ?? "", 16),
      };
    }
    const used = /^Rss:\s+(\d+) kB/.exec(line);
    if (used !== null && Number(used[1]) > 0 && current !== undefined) regions.push(current);
  }
  return regions;
}
