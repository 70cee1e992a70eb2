/** Verifier keys against the C2SP and Go vectors, and everything that is not one; signing keys keep through a file. */
import { describe, expect, test } from "bun:test";
import {
  cosignatureType,
  createSigningKey,
  isSignedBy,
  needKeyName,
  parseSigningKey,
  parseVerifierKey,
  renderVerifierKey,
} from "../../../../src/audit/evidence/keys.ts";

/** From c2sp.org/signed-note and golang.org/x/mod/sumdb/note. */
const known = [
  "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
  "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
];

describe("verifier keys", () => {
  for (const vkey of known) {
    test(`${vkey.split("+")[0]}'s is read and rendered as it was`, () => {
      expect(renderVerifierKey(parseVerifierKey(vkey))).toBe(vkey);
    });
  }

  const [first = ""] = known;
  const wrong: readonly (readonly [string, string, string])[] = [
    ["of two parts", first.replace("+530d903a", ""), "must read <name>+<8 hex digits>"],
    ["of another id", first.replace("530d903a", "530d903b"), "is not the one of its name"],
    ["of another name", first.replace("foo", "bar"), "is not the one of its name"],
    ["of another spelling", `${first.slice(0, -1)}l`, "is not the one of its name"],
    ["without its padding", "a+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U", "base64"],
    ["of an unknown type", "a+00000000+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "type 1"],
    ["that is too short", "a+00000000+Aeky", "an Ed25519 public key has 32 bytes"],
    ["with a space in its name", first.replace("example", "exam ple"), "a key's name"],
  ];
  for (const [title, vkey, message] of wrong) {
    test(`one ${title} is refused`, () => {
      expect(() => parseVerifierKey(vkey)).toThrow(message);
    });
  }
});

test("names with a space, a plus or a line break are refused", () => {
  for (const name of ["", "a b", "a+b", "a\nb", "a\u2003b", "x".repeat(256)]) {
    expect(() => needKeyName(name)).toThrow("a key's name must be");
  }
  expect(needKeyName("mcp-gateway/1")).toBe("mcp-gateway/1");
});

describe("signing keys", () => {
  test("sign so that their verifier key agrees, over that text alone", () => {
    const key = createSigningKey("a");
    const signature = key.sign("text\n");
    expect(isSignedBy(key.verifier, "text\n", signature)).toBe(true);
    expect(isSignedBy(key.verifier, "text.\n", signature)).toBe(false);
    expect(isSignedBy(createSigningKey("a").verifier, "text\n", signature)).toBe(false);
  });

  test("kept as PEM are the same key again", () => {
    const key = createSigningKey("a");
    const again = parseSigningKey("a", key.exportPem());
    expect(again.verifier).toEqual(key.verifier);
    expect(isSignedBy(key.verifier, "t\n", again.sign("t\n"))).toBe(true);
  });

  test("of a witness have an id of their own", () => {
    const key = createSigningKey("a");
    const cosigner = parseSigningKey("a", key.exportPem(), cosignatureType);
    expect(cosigner.verifier.id).not.toBe(key.verifier.id);
  });

  test("that are none are refused", () => {
    expect(() => parseSigningKey("a", "nonsense")).toThrow("must be PKCS #8 in PEM");
  });
});
