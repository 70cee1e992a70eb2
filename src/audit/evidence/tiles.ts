/**
 * The tree on the disk as C2SP tlog-tiles: where a tile lies, reading hashes back out of tiles for proofs, and growing
 * the tree, of which only the unfinished tiles are in memory. Tiles that are there are never overwritten: what would
 * be written anew must be the same bytes, or the folder and the log disagree (`TileConflict`).
 */
import { dirname, join } from "node:path";
import type { EvidenceDisk } from "./disk.ts";
import { EvidenceError } from "./evidence-error.ts";
import { hashBytes, hashNode, type NodeReader, rootAt } from "./tree.ts";

export const tileWidth = 256;
const tileLevels = 8;
const tileBytes = tileWidth * hashBytes;
/** Of a leaf in hex. */
const leafChars = 2 * hashBytes;

/** A tile on the disk is not what the log says it must be. */
export class TileConflict extends Error {
  override readonly name = "TileConflict";
}

/** `tile/<level>/<index>`, and `.p/<width>` for one that is not full. */
export function tilePath(level: number, index: number, width = tileWidth): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const groups = padded.match(/\d{3}/g) ?? [];
  const name = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join("/");
  return `tile/${level}/${name}${width === tileWidth ? "" : `.p/${width}`}`;
}

/** Hashes of the complete subtrees of the tree's first `size` leaves, read from the tiles in `dir`. */
export function createTileReader(disk: EvidenceDisk, dir: string, size: number): NodeReader {
  const tiles = new Map<string, Buffer>();

  function readTile(level: number, index: number): Buffer {
    const key = `${level}/${index}`;
    const known = tiles.get(key);
    if (known !== undefined) return known;
    const width = Math.min(Math.floor(size / tileWidth ** level) - index * tileWidth, tileWidth);
    const tile = readTileFile(disk, dir, { level, index, width });
    tiles.set(key, tile);
    return tile;
  }

  return (level, index) => {
    const tileLevel = Math.floor(level / tileLevels);
    const count = 2 ** (level % tileLevels);
    const first = index * count;
    const tile = readTile(tileLevel, Math.floor(first / tileWidth));
    return hashSpan(tile, first % tileWidth, count);
  };
}

/** The leaves from index `from` to `until` in hex, of a tree of at least `until` leaves. */
export function readLeaves(
  disk: EvidenceDisk,
  dir: string,
  size: number,
  from: number,
  until: number,
): readonly string[] {
  const leaves: string[] = [];
  for (let first = from - (from % tileWidth); first < until; first += tileWidth) {
    const width = Math.min(size - first, tileWidth);
    const tile = readTileFile(disk, dir, { level: 0, index: first / tileWidth, width });
    // The whole tile at once: its leaves are then parts of one text.
    const text = tile.toString("hex");
    const end = Math.min(until - first, width);
    for (let at = Math.max(0, from - first); at < end; at += 1) {
      leaves.push(text.slice(at * leafChars, (at + 1) * leafChars));
    }
  }
  return leaves;
}

interface TilePlace {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** The first `width` hashes of a tile, from the partial tile or the full one that took its place. */
function readTileFile(disk: EvidenceDisk, dir: string, { level, index, width }: TilePlace): Buffer {
  const path = tilePath(level, index, width);
  const found = disk.read(join(dir, path)) ?? disk.read(join(dir, tilePath(level, index)));
  if (found === undefined) throw new TileConflict(`${path} is missing`);
  if (found.length % hashBytes !== 0 || found.length < width * hashBytes) {
    throw new TileConflict(`${path} is ${found.length} bytes long`);
  }
  return found.subarray(0, width * hashBytes);
}

/** The root over `count` hashes of a tile, a power of two. */
function hashSpan(tile: Buffer, first: number, count: number): Uint8Array {
  const end = (first + count) * hashBytes;
  if (first < 0 || end > tile.length) throw new EvidenceError("a subtree is not in the tree");
  if (count === 1) return tile.subarray(first * hashBytes, end);
  const half = count / 2;
  return hashNode(hashSpan(tile, first, half), hashSpan(tile, first + half, half));
}

export interface TileTree {
  size(): number;
  /** Hex. */
  append(leaf: string): void;
  root(): Uint8Array;
  /** The leaf at an index, where it is one of the last few hundred; undefined elsewhere. */
  recentLeaf(index: number): Uint8Array | undefined;
  /** Makes all tiles of the tree durable. Throws TileConflict where another tile is there. */
  save(): void;
}

/** A tile that is not full yet, at its level's right edge. */
interface Edge {
  index: number;
  count: number;
  /** Hashes of it that are on the disk. */
  saved: number;
  readonly hashes: Buffer;
}

interface FullTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: Buffer;
  /** Whether parts of it were saved before it was full. */
  readonly hasPartial: boolean;
}

/** The tree whose first `size` leaves are in the tiles in `dir`. */
export function openTileTree(disk: EvidenceDisk, dir: string, startSize: number): TileTree {
  let size = startSize;
  const edges: Edge[] = [];
  /** Filled since the last save. */
  let full: FullTile[] = [];
  /** The last full tile of leaves, for those who ask for one just appended. */
  let lastLeaves: FullTile | undefined;
  /** A crash may have left a folder made but not synced in the one above it. */
  let isFirstSave = true;
  /** Where the last tile was written: it need not be made again. */
  let lastFolder = "";
  for (let level = 0; tileWidth ** level <= startSize; level += 1) edges.push(loadEdge(level));

  function loadEdge(level: number): Edge {
    const entries = Math.floor(startSize / tileWidth ** level);
    const count = entries % tileWidth;
    const index = (entries - count) / tileWidth;
    const hashes = Buffer.alloc(tileBytes);
    if (count > 0) readTileFile(disk, dir, { level, index, width: count }).copy(hashes);
    return { index, count, saved: count, hashes };
  }

  function edgeAt(level: number): Edge {
    const edge = edges[level] ?? { index: 0, count: 0, saved: 0, hashes: Buffer.alloc(tileBytes) };
    edges[level] = edge;
    return edge;
  }

  function append(leaf: string): void {
    const edge = edgeAt(0);
    edge.hashes.write(leaf, edge.count * hashBytes, hashBytes, "hex");
    size += 1;
    noteHash(0, edge);
  }

  function noteHash(level: number, edge: Edge): void {
    edge.count += 1;
    if (edge.count < tileWidth) return;
    const hashes = Buffer.from(edge.hashes);
    const tile = { level, index: edge.index, hashes, hasPartial: edge.saved > 0 };
    full.push(tile);
    if (level === 0) lastLeaves = tile;
    edge.index += 1;
    edge.count = 0;
    edge.saved = 0;
    const above = edgeAt(level + 1);
    above.hashes.set(hashSpan(tile.hashes, 0, tileWidth), above.count * hashBytes);
    noteHash(level + 1, above);
  }

  /** All that the tree's root needs lies in the unfinished tiles. */
  function edgeNode(level: number, index: number): Uint8Array {
    const edge = edgeAt(Math.floor(level / tileLevels));
    const count = 2 ** (level % tileLevels);
    return hashSpan(edge.hashes, index * count - edge.index * tileWidth, count);
  }

  function recentLeaf(index: number): Uint8Array | undefined {
    const tile = Math.floor(index / tileWidth);
    const edge = edgeAt(0);
    const within = index % tileWidth;
    if (tile === edge.index && within < edge.count) return hashSpan(edge.hashes, within, 1);
    return tile === lastLeaves?.index ? hashSpan(lastLeaves.hashes, within, 1) : undefined;
  }

  function save(): void {
    const changed = new Set<string>();
    for (const tile of full) writeTile(changed, tile, tileWidth);
    edges.forEach(({ index, count, saved, hashes }, level) => {
      if (count > saved) writeTile(changed, { level, index, hashes }, count);
    });
    for (const folder of changed) disk.syncFolder(folder);
    // Only now that what replaces them is durable.
    for (const { level, index, hasPartial } of full) {
      if (hasPartial) disk.remove(dirname(join(dir, tilePath(level, index, 1))));
    }
    full = [];
    lastFolder = "";
    isFirstSave = false;
    for (const edge of edges) edge.saved = edge.count;
  }

  function writeTile(
    changed: Set<string>,
    { level, index, hashes }: Omit<FullTile, "hasPartial">,
    width: number,
  ): void {
    const path = tilePath(level, index, width);
    const bytes = hashes.subarray(0, width * hashBytes);
    const folder = dirname(join(dir, path));
    changed.add(folder);
    // By the tile's own name, which ends, however the folder is spelled.
    for (let at = dirname(path); isFirstSave && at !== "."; at = dirname(at)) {
      changed.add(join(dir, dirname(at)));
    }
    const found = disk.read(join(dir, path));
    if (found !== undefined) {
      if (!found.equals(bytes)) throw new TileConflict(`${path} holds other hashes than the log`);
      return;
    }
    if (folder !== lastFolder) for (const grown of disk.makeFolder(folder)) changed.add(grown);
    lastFolder = folder;
    disk.write(join(dir, path), bytes);
  }

  return { size: () => size, append, root: () => rootAt(size, edgeNode), recentLeaf, save };
}
