/** The nearest known name, or none. */
import { expect, test } from "bun:test";
import { findNearest } from "../../../src/lib/nearest.ts";

test.each([
  ["prot", "port"],
  ["list-server", "list-servers"],
  ["sevre", "serve"],
  ["zzzzzz", undefined],
  ["", undefined],
])("%s -> %p", (name, expected) => {
  expect(findNearest(name, ["port", "serve", "list-servers", "agents"])).toBe(expected);
});
