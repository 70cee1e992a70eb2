/** One secret at rest: opens for its place under its key, and for nothing else (UP-21). */
import { expect, test } from "bun:test";
import { createSecretSealer, isSealed } from "../../../../src/servers/credentials/sealing.ts";

const sealer = createSecretSealer(Buffer.alloc(32, 1), "data/secrets.key");
const other = createSecretSealer(Buffer.alloc(32, 2), "elsewhere/secrets.key");
const place = 'server "files": header x-api-key';

test.each(["", "a", "canary-\u00e9\u{1f600}", "sealed:1:", "x".repeat(32_768)])(
  "what is sealed opens again: %#",
  (plain) => {
    const sealed = sealer.seal(place, plain);
    expect(isSealed(sealed)).toBe(true);
    expect(sealer.open(place, sealed)).toBe(plain);
  },
);

test("the value shows nothing of itself, and never looks the same twice", () => {
  const sealed = sealer.seal(place, "canary-secret");
  expect(sealed).not.toContain("canary");
  expect(Buffer.from(sealed, "base64url").toString("latin1")).not.toContain("canary");
  expect(sealer.seal(place, "canary-secret")).not.toBe(sealed);
});

test("another server's or field's value does not open here", () => {
  const sealed = sealer.seal(place, "canary-secret");
  expect(() => sealer.open('server "mail": header x-api-key', sealed)).toThrow(/does not open/);
  expect(() => sealer.open('server "files": auth clientSecret', sealed)).toThrow(/does not open/);
});

test("another node's key is named as such", () => {
  const sealed = sealer.seal(place, "canary-secret");
  expect(() => other.open(place, sealed)).toThrow(
    /header x-api-key is sealed under key [0-9a-f]{16}, but elsewhere\/secrets\.key holds key [0-9a-f]{16}.*servers\.secrets_key_file/,
  );
});

test("a changed, cut or made-up value does not open, and the error shows nothing of it", () => {
  const sealed = sealer.seal(place, "canary-secret");
  const at = sealed.length - 4;
  const flipped = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A") + sealed.slice(at + 1);
  const bad = [
    flipped,
    sealed.slice(0, -8),
    "sealed:1:",
    `${sealed.slice(0, 26)}AAAA`,
    "sealed:2:x",
  ];
  for (const value of bad) {
    expect(() => sealer.open(place, value)).toThrow(/does not open: the stored value was changed/);
  }
});
