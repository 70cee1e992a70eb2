/** Proofs that travel: made, read back and checked; every altered one fails, and each text that is none is refused. */
import { describe, expect, test } from "bun:test";
import { signCheckpoint } from "../../../../src/audit/evidence/checkpoint.ts";
import { createSigningKey } from "../../../../src/audit/evidence/keys.ts";
import { parseProof, renderProof, verifyProof } from "../../../../src/audit/evidence/proof.ts";
import { hashNode, proveInclusion, rootAt } from "../../../../src/audit/evidence/tree.ts";

const origin = "mcp-gateway/log";
const key = createSigningKey(origin);
const size = 11;
const leaves = Array.from({ length: size }, (_, at) => new Uint8Array(32).fill(at + 1));

function node(level: number, index: number): Uint8Array {
  if (level === 0) return leaves[index] as Uint8Array;
  return hashNode(node(level - 1, index * 2), node(level - 1, index * 2 + 1));
}

const checkpoint = signCheckpoint({ origin, size, root: rootAt(size, node) }, key);
const prove = (index: number) =>
  renderProof({ index, hashes: proveInclusion(index, size, node), checkpoint });

describe("a proof", () => {
  test("of every leaf is checked by whoever knows the key", () => {
    for (let index = 0; index < size; index += 1) {
      const proof = parseProof(prove(index));
      expect(verifyProof(proof, node(0, index), origin, [key.verifier]).size).toBe(size);
    }
  });

  test("of another leaf, or at another index, fails", () => {
    const proof = parseProof(prove(4));
    const failure = "does not lead from this leaf";
    expect(() => verifyProof(proof, node(0, 5), origin, [key.verifier])).toThrow(failure);
    const moved = { ...proof, index: 5 };
    expect(() => verifyProof(moved, node(0, 4), origin, [key.verifier])).toThrow(failure);
    const beyond = { ...proof, index: size };
    expect(() => verifyProof(beyond, node(0, 4), origin, [key.verifier])).toThrow(failure);
  });

  test("by a key one does not know fails", () => {
    const other = createSigningKey(origin).verifier;
    const check = () => verifyProof(parseProof(prove(4)), node(0, 4), origin, [other]);
    expect(check).toThrow("none of the known keys");
  });

  test("carries what was added to it", () => {
    const text = renderProof({ index: 0, hashes: [], checkpoint, extra: Buffer.from("more") });
    expect(Buffer.from(parseProof(text).extra ?? []).toString()).toBe("more");
    expect(parseProof(prove(0)).extra).toBeUndefined();
  });
});

describe("texts that are no proofs", () => {
  const whole = prove(4);
  const wrong: readonly (readonly [string, string, string])[] = [
    ["of another version", whole.replace("@v1", "@v2"), "must begin with c2sp.org/tlog-proof@v1"],
    ["without an index", whole.replace("index 4\n", ""), "must have an index line"],
    ["with a leading zero", whole.replace("index 4", "index 04"), "without leading zeroes"],
    ["with a short hash", whole.replace("index 4\n", "index 4\nAAAA\n"), "must be 32 bytes"],
    ["without a checkpoint", whole.slice(0, whole.indexOf("\n\n")), "an empty line before"],
    ["with a checkpoint cut off", whole.slice(0, -20), "must end in signature lines"],
    ["with too many hashes", manyHashes(whole), "53 hashes at most"],
    ["that is too long", `${whole}${"x".repeat(140_000)}`, "characters at most"],
  ];
  for (const [title, text, message] of wrong) {
    test(`one ${title} is refused`, () => {
      expect(() => parseProof(text)).toThrow(message);
    });
  }
});

function manyHashes(whole: string): string {
  const line = `${Buffer.alloc(32).toString("base64")}\n`;
  return whole.replace("index 4\n", `index 4\n${line.repeat(54)}`);
}
