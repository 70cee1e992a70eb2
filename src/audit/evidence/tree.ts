/**
 * The Merkle tree of RFC 6962 over a log's leaves, pure: extending it by its right edge alone, roots, inclusion and
 * consistency proofs and their checks. Where the hashes of complete subtrees come from (tiles, a database's leaves) is
 * the caller's: a `NodeReader`. Sizes are plain numbers up to 2^53, so nothing here may use 32-bit operators.
 */

/** The hash of the complete subtree over the leaves from `index * 2^level` to `(index + 1) * 2^level`. */
export type NodeReader = (level: number, index: number) => Uint8Array;

export const hashBytes = 32;
/** RFC 6962: the root of a tree without leaves is the hash of nothing. */
export const emptyRoot: Uint8Array = Bun.SHA256.hash(new Uint8Array(0)) as Uint8Array;

const nodePrefix = 0x01;
const pair = Buffer.alloc(1 + 2 * hashBytes, nodePrefix);

/** The hash of a node: SHA-256(0x01 || left || right). */
export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  pair.set(left, 1);
  pair.set(right, 1 + hashBytes);
  return Bun.SHA256.hash(pair) as Uint8Array;
}

/** The tree's right edge: enough to add leaves and to know the root, and never more than 53 hashes. */
export interface RightEdge {
  /** Leaves so far. */
  size(): number;
  append(leaf: Uint8Array): void;
  root(): Uint8Array;
}

/** The right edge of an empty tree, or of the one whose complete subtrees `node` knows. */
export function createRightEdge(startSize = 0, node: NodeReader = noNodes): RightEdge {
  let size = startSize;
  /** Roots of the complete subtrees, largest first. */
  const roots: Uint8Array[] = splitComplete(0, size).map(({ level, index }) => node(level, index));

  function append(leaf: Uint8Array): void {
    let hash = leaf;
    for (let rest = size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hash = hashNode(need(roots.pop()), hash);
    }
    roots.push(hash);
    size += 1;
  }

  return { size: () => size, append, root: () => joinRoots(roots) };
}

/** The root of the tree's first `size` leaves. */
export function rootAt(size: number, node: NodeReader): Uint8Array {
  return joinRoots(splitComplete(0, size).map(({ level, index }) => node(level, index)));
}

/** The proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling upwards. */
export function proveInclusion(index: number, size: number, node: NodeReader): Uint8Array[] {
  if (index < 0 || index >= size) throw new RangeError(`no leaf ${index} in a tree of ${size}`);
  const proof: Uint8Array[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + splitPoint(end - begin);
    if (index < middle) {
      proof.push(hashRange(middle, end, node));
      end = middle;
    } else {
      proof.push(hashRange(begin, middle, node));
      begin = middle;
    }
  }
  return proof.reverse();
}

/** The proof that the tree of `newSize` leaves goes on from the tree of its first `oldSize`. */
export function proveConsistency(oldSize: number, newSize: number, node: NodeReader): Uint8Array[] {
  if (oldSize < 0 || oldSize > newSize) {
    throw new RangeError(`a tree of ${newSize} leaves has no older one of ${oldSize}`);
  }
  if (oldSize === 0 || oldSize === newSize) return [];
  const proof: Uint8Array[] = [];
  let begin = 0;
  let end = newSize;
  while (end !== oldSize) {
    const middle = begin + splitPoint(end - begin);
    if (oldSize <= middle) {
      proof.push(hashRange(middle, end, node));
      end = middle;
    } else {
      proof.push(hashRange(begin, middle, node));
      begin = middle;
    }
  }
  // A verifier who holds the old root knows this one, unless the old tree is not a complete subtree of its own.
  if (begin !== 0) proof.push(hashRange(begin, end, node));
  return proof.reverse();
}

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** The root that a proof leads to; undefined where it is too long or too short (RFC 9162, 2.1.3.2). */
export function rootOfInclusion({ index, size, leaf, proof }: Inclusion): Uint8Array | undefined {
  if (index < 0 || index >= size) return undefined;
  let at = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      hash = hashNode(sibling, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      hash = hashNode(hash, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 ? hash : undefined;
}

export interface Consistency {
  readonly oldSize: number;
  readonly oldRoot: Uint8Array;
  readonly newSize: number;
  readonly newRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the new tree goes on from the old one (RFC 9162, 2.1.4.2). Every tree goes on from the empty one. */
export function isConsistent(claim: Consistency): boolean {
  const { oldSize, oldRoot, newSize, newRoot, proof } = claim;
  if (oldSize < 0 || oldSize > newSize) return false;
  if (oldSize === newSize) return proof.length === 0 && isSame(oldRoot, newRoot);
  if (oldSize === 0) return proof.length === 0 && isSame(oldRoot, emptyRoot);
  let at = oldSize - 1;
  let last = newSize - 1;
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  // Where the old tree is one complete subtree, the proof leaves its root out.
  const path = at === 0 ? [oldRoot, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let oldHash = first;
  let newHash = first;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      oldHash = hashNode(sibling, oldHash);
      newHash = hashNode(sibling, newHash);
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      newHash = hashNode(newHash, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && isSame(oldHash, oldRoot) && isSame(newHash, newRoot);
}

export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** The hash over the leaves from `begin` to `end`, where `begin` is a multiple of the largest part's size. */
function hashRange(begin: number, end: number, node: NodeReader): Uint8Array {
  return joinRoots(splitComplete(begin, end).map(({ level, index }) => node(level, index)));
}

function splitComplete(begin: number, end: number) {
  const parts: { readonly level: number; readonly index: number }[] = [];
  for (let at = begin; at < end; ) {
    let level = 0;
    while (2 ** (level + 1) <= end - at) level += 1;
    parts.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return parts;
}

function joinRoots(roots: readonly Uint8Array[]): Uint8Array {
  return roots.length === 0 ? emptyRoot : roots.reduceRight((right, left) => hashNode(left, right));
}

/** The largest power of two below `count`, which is at least 2. */
function splitPoint(count: number): number {
  let point = 1;
  while (point * 2 < count) point *= 2;
  return point;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function need(hash: Uint8Array | undefined): Uint8Array {
  if (hash === undefined) throw new Error("the tree's right edge has lost a hash");
  return hash;
}

function noNodes(): never {
  throw new Error("a tree that is not empty needs its nodes");
}
