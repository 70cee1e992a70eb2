/**
 * The tree of a log as it is recomputed, leaf by leaf, with every tile that passes held against the file of it. Holds
 * the right edge and one tile a level, however long the log.
 */
import { hashNode } from "../evidence/tree.ts";

/** The tile files of a log (C2SP tlog-tiles). Paths are those below `tile/`, such as `0/x001/067.p/3`. */
export interface TileFiles {
  readonly paths: readonly string[];
  /** Undefined for a part of a tile that has been replaced by more of it since the paths were listed. */
  read(path: string): Uint8Array | undefined;
}

export const noTiles: TileFiles = { paths: [], read: () => new Uint8Array() };

export interface CheckedTree {
  readonly size: number;
  append(leaf: Uint8Array): void;
  root(): Uint8Array;
  /** The first tile whose file says something else, and the first record under it. */
  readonly wrong: { readonly path: string; readonly seq: number } | undefined;
  /** Files of tiles that the tree has not reached. */
  readonly unreached: number;
}

const hashBytes = 32;
export const tileWidth = 256;
const tileHeight = 8;

interface Level {
  index: number;
  count: number;
  readonly bytes: Buffer;
  /** Widths of the files that this tile has. */
  widths: readonly number[];
}

export function createCheckedTree(tiles: TileFiles = noTiles): CheckedTree {
  const edge: Uint8Array[] = [];
  const levels: Level[] = [];
  const widthsByTile = groupWidths(tiles.paths);
  let size = 0;
  let unreached = tiles.paths.length;
  let wrong: CheckedTree["wrong"];

  function append(leaf: Uint8Array): void {
    put(0, leaf);
    let hash = leaf;
    let level = 0;
    for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) {
      const left = edge.pop();
      if (left === undefined) throw new Error("the tree's right edge has lost a hash");
      hash = hashNode(left, hash);
      level += 1;
      if (level % tileHeight === 0) put(level / tileHeight, hash);
    }
    edge.push(hash);
    size += 1;
  }

  function put(level: number, hash: Uint8Array): void {
    if (tiles.paths.length === 0) return;
    let at = levels[level];
    if (at === undefined) {
      const widths = widthsByTile.get(tilePath(level, 0)) ?? [];
      at = { index: 0, count: 0, bytes: Buffer.alloc(tileWidth * hashBytes), widths };
      levels[level] = at;
    }
    at.bytes.set(hash, at.count * hashBytes);
    at.count += 1;
    if (at.widths.includes(at.count)) compare(level, at);
    if (at.count < tileWidth) return;
    at.index += 1;
    at.count = 0;
    at.widths = widthsByTile.get(tilePath(level, at.index)) ?? [];
  }

  function compare(level: number, { index, count, bytes }: Level): void {
    const path = tilePath(level, index) + (count === tileWidth ? "" : `.p/${count}`);
    unreached -= 1;
    const stored = tiles.read(path);
    if (stored === undefined) return;
    const isSame = Buffer.compare(stored, bytes.subarray(0, count * hashBytes)) === 0;
    if (!isSame) wrong ??= { path, seq: index * tileWidth ** (level + 1) + 1 };
  }

  return {
    append,
    root: () => joinEdge(edge),
    get size() {
      return size;
    },
    get wrong() {
      return wrong;
    },
    get unreached() {
      return unreached;
    },
  };
}

function joinEdge(edge: readonly Uint8Array[]): Uint8Array {
  const last = edge.at(-1);
  if (last === undefined) return Bun.SHA256.hash(new Uint8Array(0)) as Uint8Array;
  return edge.slice(0, -1).reduceRight((right, left) => hashNode(left, right), last);
}

function groupWidths(paths: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  for (const path of paths) {
    const [tile = "", width] = path.split(".p/");
    const widths = found.get(tile) ?? [];
    widths.push(width === undefined ? tileWidth : Number(width));
    found.set(tile, widths);
  }
  return found;
}

function tilePath(level: number, index: number): string {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `${level}/${groups.join("/")}`;
}

/** The leaves that the tiles hold, from the log's first on. */
export function* readTileLeaves(tiles: TileFiles): Generator<Uint8Array> {
  const widths = groupWidths(tiles.paths);
  for (let index = 0; ; index += 1) {
    const path = tilePath(0, index);
    const width = Math.max(0, ...(widths.get(path) ?? []));
    if (width === 0) return;
    const bytes = tiles.read(width === tileWidth ? path : `${path}.p/${width}`);
    if (bytes === undefined) return;
    for (let at = 0; at + hashBytes <= bytes.length; at += hashBytes) {
      yield bytes.subarray(at, at + hashBytes);
    }
    if (width < tileWidth) return;
  }
}
