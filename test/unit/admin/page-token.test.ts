/** Pages and their tokens. */
import { describe, expect, test } from "bun:test";
import {
  decodePageToken,
  encodePageToken,
  paginate,
  readPageSize,
} from "../../../src/admin/page-token.ts";

describe("page tokens", () => {
  test("come back as they went, for the same question only", () => {
    const token = encodePageToken(["q", { a: 1 }], ["log", 7]);
    expect(decodePageToken(["q", { a: 1 }], token, ["string", "number"])).toEqual(["log", 7]);
    expect(() => decodePageToken(["q", { a: 2 }], token, ["string", "number"])).toThrow(
      "page_token",
    );
    expect(() => decodePageToken(["q", { a: 1 }], token, ["string"])).toThrow("page_token");
  });

  test.each(["x", "e30", "bnVsbA", "[]", "a".repeat(3000)])("garbage %p is refused", (token) => {
    expect(() => decodePageToken("q", token, ["string"])).toThrow("page_token");
  });

  test.each([
    [0, 100],
    [1, 1],
    [1000, 1000],
  ])("page_size %p means %p", (asked, size) => {
    expect(readPageSize(asked)).toBe(size);
  });

  test.each([-1, 1001])("page_size %p is refused", (asked) => {
    expect(() => readPageSize(asked)).toThrow("from 0 to 1000");
  });

  test("a page ends without a token exactly at the end", () => {
    const key = (one: string) => one;
    const all = ["a", "b", "c", "d"];
    const first = paginate(all, key, "q", { page_size: 2, page_token: "" });
    const second = paginate(all, key, "q", { page_size: 2, page_token: first.nextPageToken });
    expect([first.page, second.page]).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
    expect(second.nextPageToken).toBe("");
  });
});
