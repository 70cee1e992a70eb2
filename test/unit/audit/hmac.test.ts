/** HMAC-SHA256 in memory used again: the same as the runtime's own, whatever came before and however long. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { hmacInto } from "../../../src/audit/hmac.ts";

test("it is HMAC-SHA256, for texts of every length, one after the other", () => {
  const texts = [
    "",
    "a",
    "Zoë 🎈\0",
    ..."abcdefgh".split("").map((one, at) => one.repeat(at * 31)),
  ];
  const long = [
    "x".repeat(1_024),
    "ö".repeat(1_024),
    "世".repeat(1_024),
    "世".repeat(1_025),
    "y".repeat(300_000),
  ];
  for (const [at, text] of [...texts, ...long, ...texts].entries()) {
    const key = Buffer.alloc(32, at);
    const bytes = Buffer.alloc(at % 17, 5);
    const expected = createHmac("sha256", key).update(text).update(bytes).digest("hex");
    const into = new Uint8Array(32);
    expect(Buffer.from(hmacInto(into, key, text, bytes)).toString("hex")).toBe(expected);
    const own = Uint8Array.from(key);
    expect(Buffer.from(hmacInto(own, own, text, bytes)).toString("hex")).toBe(expected);
  }
});
