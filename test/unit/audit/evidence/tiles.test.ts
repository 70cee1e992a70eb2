/** Tiles: their names, growth across levels, proofs read from them, and what happens where other bytes are there. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { EvidenceDisk } from "../../../../src/audit/evidence/disk.ts";
import {
  createTileReader,
  openTileTree,
  readLeaves,
  TileConflict,
  tilePath,
} from "../../../../src/audit/evidence/tiles.ts";
import {
  createRightEdge,
  isSame,
  proveInclusion,
  rootAt,
  rootOfInclusion,
} from "../../../../src/audit/evidence/tree.ts";
import { createBreakingDisk } from "../../../support/breaking-disk.ts";

const dir = "/evidence";
const leafOf = (index: number) => Bun.SHA256.hash(`leaf ${index}`, "hex");
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function grow(sizes: readonly number[]) {
  const disk = createBreakingDisk(dir);
  const tree = openTileTree(disk, dir, 0);
  for (const size of sizes) {
    while (tree.size() < size) tree.append(leafOf(tree.size()));
    tree.save();
  }
  return { disk, tree };
}

function edgeRoot(size: number): string {
  const edge = createRightEdge();
  for (let index = 0; index < size; index += 1) edge.append(Buffer.from(leafOf(index), "hex"));
  return toHex(edge.root());
}

test("paths are those of c2sp.org/tlog-tiles", () => {
  expect(tilePath(0, 0)).toBe("tile/0/000");
  expect(tilePath(1, 67, 3)).toBe("tile/1/067.p/3");
  expect(tilePath(0, 1_234_067)).toBe("tile/0/x001/x234/067");
  expect(tilePath(2, 1000, 255)).toBe("tile/2/x001/000.p/255");
});

test("a tree of 70,000 has the tiles that the specification counts", () => {
  const { disk, tree } = grow([70_000]);
  const names = (level: number) => disk.list(join(dir, `tile/${level}`));
  expect(names(0).filter((name) => !name.endsWith(".p")).length).toBe(273);
  expect(disk.list(join(dir, "tile/0/273.p"))).toEqual([join(dir, "tile/0/273.p/112")]);
  expect(names(1).map((name) => name.slice(dir.length))).toEqual(["/tile/1/000", "/tile/1/001.p"]);
  expect(disk.list(join(dir, "tile/1/001.p"))).toEqual([join(dir, "tile/1/001.p/17")]);
  expect(disk.list(join(dir, "tile/2/000.p"))).toEqual([join(dir, "tile/2/000.p/1")]);
  expect(toHex(tree.root())).toBe(edgeRoot(70_000));
});

test.each(["evidence", "./evidence", "evidence/", "."])(
  "the folder may be spelled %p",
  (folder) => {
    const disk = createBreakingDisk(dir);
    const rooted: EvidenceDisk = {
      ...disk,
      read: () => undefined,
      write: () => {},
      makeFolder: () => [],
      syncFolder: (path) => synced.push(path),
    };
    const synced: string[] = [];
    const tree = openTileTree(rooted, folder, 0);
    tree.append(leafOf(0));
    tree.save();
    const expected = ["", "tile", "tile/0", "tile/0/000.p"].map((name) => join(folder, name));
    expect(synced.map((path) => join(path, ".")).sort()).toEqual(
      expected.map((path) => join(path, ".")).sort(),
    );
  },
);

describe("the tree", () => {
  const sizes = [1, 2, 255, 256, 257, 511, 512, 700, 65_536];
  test("is the same grown at once, resumed at any size, and read from its tiles", () => {
    for (const size of sizes) {
      const root = edgeRoot(size);
      const { disk, tree } = grow([size]);
      expect(toHex(tree.root())).toBe(root);
      expect(toHex(openTileTree(disk, dir, size).root())).toBe(root);
      expect(toHex(rootAt(size, createTileReader(disk, dir, size)))).toBe(root);
    }
  });

  test("keeps older sizes readable while it grows, and no partial tile beside its full one", () => {
    const { disk } = grow([3, 200, 256, 300, 600]);
    for (const size of [3, 200, 256, 300, 600]) {
      const node = createTileReader(disk, dir, size);
      const root = rootAt(size, node);
      for (const index of [0, 1, size - 1]) {
        const proof = proveInclusion(index, size, node);
        const leaf = Buffer.from(leafOf(index), "hex");
        const led = rootOfInclusion({ index, size, leaf, proof });
        expect(led !== undefined && isSame(led, root)).toBe(true);
      }
    }
    expect(disk.read(join(dir, "tile/0/000.p/3"))).toBeUndefined();
    expect(disk.read(join(dir, "tile/0/001.p/44"))).toBeUndefined();
    expect(disk.read(join(dir, "tile/0/002.p/88"))?.length).toBe(88 * 32);
  });

  test("knows its last leaves without the disk", () => {
    const { tree } = grow([600]);
    const recent = [599, 512, 511, 300].map((index) => tree.recentLeaf(index));
    const wanted = [599, 512, 511, 300].map(leafOf);
    expect(recent.map((leaf) => leaf && toHex(leaf))).toEqual(wanted);
    expect([200, 600, 5000].map((index) => tree.recentLeaf(index))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("gives its leaves back", () => {
    const { disk } = grow([600]);
    expect(readLeaves(disk, dir, 600, 250, 260)).toEqual(
      Array.from({ length: 10 }, (_, at) => leafOf(250 + at)),
    );
  });
});

describe("tiles that are there", () => {
  test("and the same are kept; other ones are a conflict, and stay", () => {
    const { disk } = grow([300]);
    const path = join(dir, tilePath(0, 0));
    const again = openTileTree(disk, dir, 0);
    for (let index = 0; index < 300; index += 1) again.append(leafOf(index));
    again.save();
    const other = openTileTree(disk, dir, 0);
    for (let index = 0; index < 300; index += 1) other.append(leafOf(index + 1));
    const before = disk.read(path);
    expect(() => other.save()).toThrow(TileConflict);
    expect(disk.read(path)).toEqual(before);
  });

  test("but cut short or missing are named", () => {
    const { disk } = grow([300]);
    disk.write(join(dir, "tile/0/001.p/44"), Buffer.alloc(33));
    expect(() => openTileTree(disk, dir, 300)).toThrow("tile/0/001.p/44 is 33 bytes long");
    disk.remove(join(dir, "tile/1"));
    expect(() => rootAt(300, createTileReader(disk, dir, 300))).toThrow(
      "tile/1/000.p/1 is missing",
    );
  });
});
