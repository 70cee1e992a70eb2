/** Checkpoints: signed and read back, and every text that is none. */
import { describe, expect, test } from "bun:test";
import {
  logIdOf,
  originOf,
  parseCheckpoint,
  renderCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
} from "../../../../src/audit/evidence/checkpoint.ts";
import { createSigningKey } from "../../../../src/audit/evidence/keys.ts";

const origin = originOf("0199-log");
const key = createSigningKey(origin);
const root = new Uint8Array(32).fill(9);
const note = signCheckpoint({ origin, size: 42, root }, key);

test("a signed checkpoint says what was signed", () => {
  const { size, root: found } = verifyCheckpoint(note, origin, [key.verifier]);
  expect({ size, found: [...found] }).toEqual({ size: 42, found: [...root] });
});

test("one of another log or by another key is refused", () => {
  expect(() => verifyCheckpoint(note, "other", [key.verifier])).toThrow("not of other");
  const other = createSigningKey(origin).verifier;
  expect(() => verifyCheckpoint(note, origin, [other])).toThrow("none of the known keys");
});

test("the published example of c2sp.org/tlog-checkpoint is read", () => {
  const example =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" +
    "— example.com/behind-the-sofa " +
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
  const checkpoint = parseCheckpoint(example);
  expect(checkpoint.size).toBe(20_852_163);
  expect(`${renderCheckpoint(checkpoint)}\n`).toBe(example.slice(0, example.indexOf("— ")));
});

test("an origin names its log, and a stranger's none", () => {
  expect(logIdOf(origin)).toBe("0199-log");
  expect(logIdOf("example.com/log")).toBeUndefined();
});

describe("texts that are no checkpoints", () => {
  const signature = note.slice(note.indexOf("\n\n"));
  const hash = Buffer.from(root).toString("base64");
  const wrong: readonly (readonly [string, string, string])[] = [
    ["without an origin", `\n1\n${hash}`, "must begin with its origin"],
    ["with a leading zero", `o\n01\n${hash}`, "without leading zeroes"],
    ["with a negative size", `o\n-1\n${hash}`, "a checkpoint's size"],
    ["with a size beyond 2^53", `o\n9007199254740993\n${hash}`, "below 2^53"],
    ["with a short root", "o\n1\nAAAA", "must be 32 bytes"],
    ["without a root", "o\n1", "must be 32 bytes"],
    ["with an empty extension", `o\n1\n${hash}\n\nmore`, "extension lines must not be empty"],
  ];
  for (const [title, text, message] of wrong) {
    test(`one ${title} is refused`, () => {
      expect(() => parseCheckpoint(text + signature)).toThrow(message);
    });
  }
});
