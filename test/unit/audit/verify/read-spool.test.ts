/** The evidence beside a running gateway: part of a tile goes between being listed and being read. */
import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCheckedTree } from "../../../../src/audit/verify/checked-tree.ts";
import { readEvidence } from "../../../../src/audit/verify/read-spool.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const leaves = [1, 2].map((byte) => new Uint8Array(32).fill(byte));

function listTiles(dir: string) {
  mkdirSync(join(dir, "tile/0/000.p"), { recursive: true });
  writeFileSync(join(dir, "tile/0/000.p/2"), Buffer.concat(leaves));
  writeFileSync(join(dir, "tile/0/001"), "whole");
  return readEvidence(dir).tiles;
}

test("a part of a tile that is gone since it was listed is not held against the tree", async () => {
  await using folder = temporaryFolder("evidence");
  const tiles = listTiles(folder.path);
  rmSync(join(folder.path, "tile/0/000.p"), { recursive: true });
  const tree = createCheckedTree(tiles);
  for (const leaf of leaves) tree.append(leaf);
  expect(tree.wrong).toBeUndefined();
  expect(tiles.read("0/000.p/2")).toBeUndefined();
});

test("one that is there is, and a whole tile does not go", async () => {
  await using folder = temporaryFolder("evidence");
  const tiles = listTiles(folder.path);
  const tree = createCheckedTree(tiles);
  for (const leaf of leaves.toReversed()) tree.append(leaf);
  expect(tree.wrong).toEqual({ path: "0/000.p/2", seq: 1 });
  rmSync(join(folder.path, "tile/0/001"));
  expect(() => tiles.read("0/001")).toThrow("ENOENT");
});
