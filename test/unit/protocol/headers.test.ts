import { describe, expect, test } from "bun:test";
import { decodeHeaderValue, encodeHeaderValue } from "../../../src/protocol/headers.ts";

describe("mirrored header values", () => {
  test.each(["add", "a b", "é", " lead", "trail ", "line\nbreak", "=?base64?eA==?=", "", "😀"])(
    "PR-12: %j survives",
    (value) => {
      expect(decodeHeaderValue(encodeHeaderValue(value))).toBe(value);
      expect(encodeHeaderValue(value)).toMatch(/^[\x20-\x7e]*$/);
    },
  );

  test.each(["=?base64?*?=", "=?base64?YQ?=", "=?base64?/w==?="])(
    "PR-12: %j is refused",
    (header) => {
      expect(decodeHeaderValue(header)).toBeUndefined();
    },
  );

  test.each(["=?base64?YQ==", "YQ==?=", "=?base64?", "=?base64?="])(
    "PR-12: %j is half a sentinel and stands for itself",
    (header) => {
      expect(decodeHeaderValue(header)).toBe(header);
    },
  );
});
