/** K-01, K-11 for keys: a wrapped key opens under its own KEK, as what it is, and not if anything of it changed. */
import { expect, test } from "bun:test";
import { unwrapKey, wrapKey } from "../../../src/vault/wrapping.ts";

const kek = Buffer.alloc(32, 1);
const key = Buffer.alloc(32, 2);
const place = { purpose: "subject", id: "00112233445566ff", epoch: 3 } as const;

test("K-01 purpose, id and epoch are bound to a wrapped key", () => {
  const wrapped = wrapKey(kek, place, key);
  expect(unwrapKey(kek, place, wrapped)).toEqual(key);
  expect(wrapped).not.toContain(key.toString("base64").slice(0, 20));
  expect(unwrapKey(Buffer.alloc(32, 9), place, wrapped)).toBeUndefined();
  for (const other of [
    { ...place, purpose: "class" },
    { ...place, id: "00112233445566fe" },
    { ...place, epoch: 4 },
  ] as const) {
    expect(unwrapKey(kek, other, wrapped)).toBeUndefined();
  }
});

test("K-11 no bit of a wrapped key can be flipped, none cut off", () => {
  const bytes = Buffer.from(wrapKey(kek, place, key), "base64");
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    expect(unwrapKey(kek, place, flipped.toString("base64"))).toBeUndefined();
  }
  expect(unwrapKey(kek, place, bytes.subarray(0, -1).toString("base64"))).toBeUndefined();
  expect(unwrapKey(kek, place, "")).toBeUndefined();
});
