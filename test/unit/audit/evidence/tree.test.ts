/**
 * The tree against the published vectors of RFC 6962 implementations, and proofs against a tree computed naively from
 * the RFC's own definition, for every size up to a bound; every altered proof fails.
 */
import { describe, expect, test } from "bun:test";
import {
  createRightEdge,
  emptyRoot,
  hashNode,
  isConsistent,
  proveConsistency,
  proveInclusion,
  rootAt,
  rootOfInclusion,
} from "../../../../src/audit/evidence/tree.ts";

/** The inputs and roots that certificate-transparency-go and golang.org/x/mod/sumdb test with. */
const inputs = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
];
const roots = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const sizeMax = 70;

const published = inputs.map((hex) => toLeaf(Buffer.from(hex, "hex")));
const leaves = Array.from({ length: sizeMax }, (_, index) => toLeaf(Buffer.from(`leaf ${index}`)));

function toLeaf(bytes: Uint8Array): Uint8Array {
  return Bun.SHA256.hash(Buffer.concat([Uint8Array.of(0), bytes])) as Uint8Array;
}

/** MTH of RFC 6962, section 2.1, word by word. */
function naiveRoot(of: readonly Uint8Array[]): Uint8Array {
  const [first] = of;
  if (first === undefined) return emptyRoot;
  if (of.length === 1) return first;
  let middle = 1;
  while (middle * 2 < of.length) middle *= 2;
  return hashNode(naiveRoot(of.slice(0, middle)), naiveRoot(of.slice(middle)));
}

function node(level: number, index: number): Uint8Array {
  const width = 2 ** level;
  const of = leaves.slice(index * width, (index + 1) * width);
  if (of.length !== width) throw new Error(`asked for an incomplete subtree ${level}/${index}`);
  return naiveRoot(of);
}

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");

describe("roots", () => {
  test("of the published inputs are the published ones", () => {
    const edge = createRightEdge();
    const found = [hex(edge.root())];
    for (const leaf of published) {
      edge.append(leaf);
      found.push(hex(edge.root()));
    }
    expect(found).toEqual(roots);
  });

  test("are the same grown leaf by leaf, from complete subtrees, and resumed at any size", () => {
    const edge = createRightEdge();
    for (let size = 0; size <= sizeMax; size += 1) {
      const root = hex(naiveRoot(leaves.slice(0, size)));
      expect(hex(edge.root())).toBe(root);
      expect(hex(rootAt(size, node))).toBe(root);
      const resumed = createRightEdge(size, node);
      expect(hex(resumed.root())).toBe(root);
      for (const leaf of leaves.slice(size)) resumed.append(leaf);
      expect(hex(resumed.root())).toBe(hex(naiveRoot(leaves)));
      const leaf = leaves[size];
      if (leaf !== undefined) edge.append(leaf);
    }
  });

  test("of sizes beyond 32 bits are right", () => {
    // Every leaf the same: a complete subtree's root depends on its level alone.
    const levels = [leaves[0] as Uint8Array];
    for (let level = 0; level < 50; level += 1) {
      const below = levels[level] as Uint8Array;
      levels.push(hashNode(below, below));
    }
    const same = (level: number) => levels[level] as Uint8Array;
    const size = 2 ** 40 + 2 ** 33 + 5;
    const index = 2 ** 40 + 7;
    const proof = proveInclusion(index, size, same);
    const root = rootAt(size, same);
    expect(hex(rootOfInclusion({ index, size, leaf: same(0), proof }))).toBe(hex(root));
    const newSize = size + 2 ** 34;
    const newRoot = rootAt(newSize, same);
    const between = proveConsistency(size, newSize, same);
    expect(isConsistent({ oldSize: size, oldRoot: root, newSize, newRoot, proof: between })).toBe(
      true,
    );
  });
});

describe("inclusion", () => {
  test("is proved for every leaf of every size, and for no other leaf, index or size", () => {
    for (let size = 1; size <= sizeMax; size += 1) {
      const root = hex(naiveRoot(leaves.slice(0, size)));
      for (let index = 0; index < size; index += 1) {
        const leaf = leaves[index] as Uint8Array;
        const proof = proveInclusion(index, size, node);
        const claim = { index, size, leaf, proof };
        expect(hex(rootOfInclusion(claim))).toBe(root);
        const other = leaves[(index + 1) % sizeMax] as Uint8Array;
        expect(hex(rootOfInclusion({ ...claim, leaf: other }))).not.toBe(root);
        if (size > 1) {
          const next = (index + 1) % size;
          expect(hex(rootOfInclusion({ ...claim, index: next }))).not.toBe(root);
        }
        expect(hex(rootOfInclusion({ ...claim, proof: [...proof, root32()] }))).not.toBe(root);
        expect(hex(rootOfInclusion({ ...claim, proof: proof.slice(1) }))).not.toBe(
          proof.length === 0 ? "" : root,
        );
        expect(rootOfInclusion({ ...claim, size: index })).toBeUndefined();
      }
    }
  });

  test("of a leaf that is not there cannot be asked for", () => {
    expect(() => proveInclusion(3, 3, node)).toThrow("no leaf 3 in a tree of 3");
  });
});

describe("consistency", () => {
  test("is proved between every two sizes, and fails with any hash altered", () => {
    for (let newSize = 0; newSize <= sizeMax; newSize += 1) {
      const newRoot = naiveRoot(leaves.slice(0, newSize));
      for (let oldSize = 0; oldSize <= newSize; oldSize += 1) {
        const oldRoot = naiveRoot(leaves.slice(0, oldSize));
        const proof = proveConsistency(oldSize, newSize, node);
        const claim = { oldSize, oldRoot, newSize, newRoot, proof };
        expect(isConsistent(claim)).toBe(true);
        expect(isConsistent({ ...claim, proof: [...proof, root32()] })).toBe(false);
        expect(isConsistent({ ...claim, oldRoot: root32() })).toBe(false);
        if (oldSize > 0) expect(isConsistent({ ...claim, newRoot: root32() })).toBe(false);
        proof.forEach((_, at) => {
          expect(isConsistent({ ...claim, proof: proof.with(at, root32()) })).toBe(false);
        });
        if (proof.length > 0) {
          expect(isConsistent({ ...claim, proof: proof.slice(1) })).toBe(false);
        }
      }
    }
  });

  test("is refused for an old tree larger than the new one", () => {
    const root = naiveRoot(leaves.slice(0, 4));
    const claim = { oldSize: 5, oldRoot: root, newSize: 4, newRoot: root, proof: [] };
    expect(isConsistent(claim)).toBe(false);
    expect(() => proveConsistency(5, 4, node)).toThrow("has no older one of 5");
  });
});

/** A hash that is in no tree here. */
function root32(): Uint8Array {
  return new Uint8Array(32).fill(7);
}
