/** Sealed bytes open for their identity and key alone (faults CA-02, CA-13). */
import { expect, test } from "bun:test";
import { createCacheKeys } from "../../../src/cache/keys.ts";
import { createSealer } from "../../../src/cache/sealed.ts";

const { sealKey } = createCacheKeys().current();
const owner = Buffer.from("owner");
const plain = Buffer.from("a secret reply");

test("round trip, never the same bytes twice, nothing readable", () => {
  const sealer = createSealer(sealKey, 7);
  const sealed = sealer.seal(owner, plain);
  expect(sealer.open(owner, sealed)).toEqual(plain);
  expect(sealer.seal(owner, plain).equals(sealed)).toBe(false);
  expect(sealed.includes("secret")).toBe(false);
  expect(sealer.open(owner, sealer.seal(owner, Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
});

test("CA-13 every flipped bit, every cut, another key, id or identity: does not open", () => {
  const sealer = createSealer(sealKey, 7);
  const sealed = sealer.seal(owner, plain);
  for (let at = 0; at < sealed.length; at += 1) {
    const flipped = Buffer.from(sealed);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    expect(sealer.open(owner, flipped)).toBeUndefined();
    expect(sealer.open(owner, sealed.subarray(0, at))).toBeUndefined();
  }
  expect(sealer.open(Buffer.from("other"), sealed)).toBeUndefined();
  expect(createSealer(sealKey, 8).open(owner, sealed)).toBeUndefined();
  expect(createSealer(createCacheKeys().current().sealKey, 7).open(owner, sealed)).toBeUndefined();
});

test("CA-13 a key seals so often and no more", () => {
  const sealer = createSealer(sealKey, 1, 2);
  sealer.seal(owner, plain);
  expect(sealer.isSpent()).toBe(false);
  sealer.seal(owner, plain);
  expect(sealer.isSpent()).toBe(true);
  expect(() => sealer.seal(owner, plain)).toThrow();
});

test("each epoch has keys of its own", () => {
  const keys = createCacheKeys();
  const first = keys.current();
  const second = keys.bump();
  expect(keys.current()).toBe(second);
  expect(second.epoch).toBe(first.epoch + 1);
  expect(second.sealKey.equals(first.sealKey)).toBe(false);
  expect(second.indexOf(owner)).not.toBe(first.indexOf(owner));
});
