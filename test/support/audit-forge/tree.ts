/** The RFC 6962 tree and its tiles, straight from the definitions: slow, short, and no code of the gateway. */
import { createHash } from "node:crypto";

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const largestBelow = (count: number): number => 2 ** (Math.ceil(Math.log2(count)) - 1);

export function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0] ?? Buffer.alloc(0);
  const split = largestBelow(leaves.length);
  return sha256(Buffer.from([1]), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

export function proofOf(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length <= 1) return [];
  const split = largestBelow(leaves.length);
  return index < split
    ? [...proofOf(index, leaves.slice(0, split)), rootOf(leaves.slice(split))]
    : [...proofOf(index - split, leaves.slice(split)), rootOf(leaves.slice(0, split))];
}

/** The tiles of a tree by path below `tile/` (C2SP tlog-tiles). */
export function tilesOf(leaves: readonly Buffer[]): Map<string, Buffer> {
  const tiles = new Map<string, Buffer>();
  let hashes = leaves;
  for (let level = 0; hashes.length > 0; level += 1) {
    const next: Buffer[] = [];
    for (let index = 0; index * 256 < hashes.length; index += 1) {
      const part = hashes.slice(index * 256, (index + 1) * 256);
      const partial = part.length === 256 ? "" : `.p/${part.length}`;
      tiles.set(`${level}/${nameOf(index)}${partial}`, Buffer.concat(part));
      if (part.length === 256) next.push(rootOf(part));
    }
    hashes = next;
  }
  return tiles;
}

function nameOf(index: number): string {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return groups.join("/");
}
