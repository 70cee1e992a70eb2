/** Sets of sequence numbers as text, and the digest of leaves. */
import { expect, test } from "bun:test";
import { digestLeaves, parseSeqs, renderSeqs } from "../../../src/lib/seqs.ts";

const sound = [
  [[1], "1"],
  [[1, 2], "1-2"],
  [[7, 1, 3, 2], "1-3,7"],
  [[1, 3, 5], "1,3,5"],
] as const;
for (const [seqs, text] of sound) {
  test(`${text} is rendered and read back`, () => {
    expect(renderSeqs(seqs)).toBe(text);
    expect(parseSeqs(text, 10)).toEqual(seqs.toSorted((a, b) => a - b));
  });
}

for (const text of ["", "a", "1-", "-1", "5-2", "1,,2", "1-11", "1-999999999999999", "1 "]) {
  test(`"${text}" is refused`, () => {
    expect(parseSeqs(text, 10)).toBeUndefined();
  });
}

test("the digest does not depend on the order", () => {
  expect(digestLeaves(["b", "a"])).toBe(digestLeaves(["a", "b"]));
  expect(digestLeaves(["a"])).not.toBe(digestLeaves(["a", "b"]));
});
