/** Signed notes against the C2SP and Go vectors; cosignatures; and every note that must be refused. */
import { describe, expect, test } from "bun:test";
import {
  cosignatureType,
  createSigningKey,
  parseVerifierKey,
} from "../../../../src/audit/evidence/keys.ts";
import {
  cosignText,
  parseNote,
  renderNote,
  signText,
  verifyNote,
} from "../../../../src/audit/evidence/note.ts";

/** From c2sp.org/signed-note and golang.org/x/mod/sumdb/note. */
const published = [
  {
    vkey: "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    note:
      "This is an example message.\n\n— example.com/foo " +
      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
  },
  {
    vkey: "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    note:
      "If you think cryptography is the answer to your problem,\n" +
      "then you don't know what your problem is.\n\n— PeterNeumann " +
      "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
  },
];

describe("published notes", () => {
  for (const { vkey, note } of published) {
    const key = parseVerifierKey(vkey);
    test(`${key.name}'s verifies, and is rendered as it was`, () => {
      const parsed = parseNote(note);
      expect(renderNote(parsed)).toBe(note);
      expect(verifyNote(parsed, [key])).toEqual([{ key, timestamp: undefined }]);
    });

    test(`${key.name}'s with one letter changed does not`, () => {
      const changed = parseNote(note.replace("you", "yov").replace("This", "That"));
      expect(() => verifyNote(changed, [key])).toThrow("is not over this text");
    });
  }
});

describe("several signatures", () => {
  const text = "origin\n1\n";
  const log = createSigningKey("log");
  const witness = createSigningKey("witness", cosignatureType);
  const stranger = createSigningKey("stranger");
  const note = renderNote({
    text,
    signatures: [
      signText(text, stranger),
      signText(text, log),
      cosignText(text, witness, 1_679_315_147),
    ],
  });

  test("are verified for the keys one knows, with the time a witness states", () => {
    const verified = verifyNote(parseNote(note), [witness.verifier, log.verifier]);
    expect(verified).toEqual([
      { key: log.verifier, timestamp: undefined },
      { key: witness.verifier, timestamp: 1_679_315_147 },
    ]);
  });

  test("of strangers alone are not enough", () => {
    const nobody = createSigningKey("log").verifier;
    expect(() => verifyNote(parseNote(note), [nobody])).toThrow("none of the known keys");
  });

  test("of which one by a known key is wrong spoil the note", () => {
    const other = signText("other\n", log);
    const spoiled = { text, signatures: [other, cosignText(text, witness, 1)] };
    expect(() => verifyNote(spoiled, [log.verifier, witness.verifier])).toThrow("by log is not");
  });

  test("with another time than the one signed are wrong", () => {
    const signature = cosignText(text, witness, 5);
    const bytes = Uint8Array.from(signature.bytes);
    bytes[7] = 6;
    const moved = { text, signatures: [{ ...signature, bytes }] };
    expect(() => verifyNote(moved, [witness.verifier])).toThrow("is not over this text");
  });

  test("are not made with a key of another type", () => {
    expect(() => signText(text, witness)).toThrow("is of type 4, not 1");
    expect(() => cosignText(text, log, 1)).toThrow("is of type 1, not 4");
    expect(() => signText("no line break", log)).toThrow("must end in a line break");
  });
});

describe("texts that are no notes", () => {
  const wrong: readonly (readonly [string, string, string])[] = [
    ["without signatures", "text\n", "must have an empty line before its signatures"],
    ["without a signature line", "text\n\n", "must end in signature lines"],
    ["whose last line does not end", "text\n\n— a AAAAAAA=", "must end in signature lines"],
    ["with a tab", "te\txt\n\n— a AAAAAAA=\n", "no control characters"],
    ["with a carriage return", "text\r\n\n— a AAAAAAA=\n", "no control characters"],
    ["with half a character", "te\ud800xt\n\n— a AAAAAAA=\n", "no control characters"],
    ["with a hyphen for the dash", "text\n\n- a AAAAAAA=\n", "must read — <name> <base64>"],
    ["with a plus in a name", "text\n\n— a+b AAAAAAA=\n", "a key's name must be"],
    ["with bad base64", "text\n\n— a AAAAAAB=\n", "must be base64"],
    ["with a signature of nothing", "text\n\n— a AAAAAA==\n", "longer than its key id"],
    ["that is too long", `${"x".repeat(70_000)}\n\n— a AAAAAAA=\n`, "65536 characters at most"],
    ["of too many signatures", `text\n\n${"— a AAAAAAA=\n".repeat(65)}`, "64 signatures at most"],
  ];
  for (const [title, note, message] of wrong) {
    test(`one ${title} is refused`, () => {
      expect(() => parseNote(note)).toThrow(message);
    });
  }

  test("an empty line within the text belongs to it", () => {
    expect(parseNote("one\n\ntwo\n\n— a AAAAAAA=\n").text).toBe("one\n\ntwo\n");
  });
});
