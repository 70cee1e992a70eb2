/** HMAC-SHA256 in memory used again: the same as the runtime's own, whatever came before and however long. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { hmacByNameInto, hmacInto } from "../../../src/audit/hmac.ts";

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

test("by name it is the HMAC under that of the name, however long both are", () => {
  const names = ["", "principal", "Zoë 🎈", "n".repeat(1_000), "世".repeat(2_000)];
  const texts = ["", '"ada"', '"世"', "x".repeat(23), "x".repeat(24), "ö".repeat(5_000)];
  for (const name of names) {
    for (const text of texts) {
      const key = Buffer.alloc(32, name.length + text.length);
      const own = createHmac("sha256", key).update(name).digest();
      const expected = createHmac("sha256", own).update(`${name}\0${text}`).digest("hex");
      const into = new Uint8Array(32);
      expect(Buffer.from(hmacByNameInto(into, key, name, text)).toString("hex")).toBe(expected);
    }
  }
});

test("of a longer key the first 32 bytes count, for texts of every length", () => {
  const key = Buffer.from(Array.from({ length: 48 }, (_, at) => at));
  for (const text of ["", "a", "x".repeat(5_000)]) {
    const expected = createHmac("sha256", key.subarray(0, 32)).update(text).digest("hex");
    const into = new Uint8Array(32);
    expect(Buffer.from(hmacInto(into, key, text)).toString("hex")).toBe(expected);
  }
});
