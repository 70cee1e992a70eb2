/** Patterns compared as texts give what RE2 gives, whatever they and the names are made of. */
import { expect, test } from "bun:test";
import { RE2JS } from "re2js";
import { compileTargetPattern } from "../../../src/policy/target-pattern.ts";
import { createRandom } from "../../support/random-policy.ts";

const pieces = [
  "a",
  "K",
  "s",
  "_",
  "-",
  ":",
  ".*",
  "|",
  ".",
  "x",
  "",
  "ſ",
  "\u212a",
  "é",
  "[ab]",
  "(b)",
];

test("P06 AZ-13 the plain comparison agrees with RE2 on 20,000 random pairs", () => {
  const random = createRandom(6);
  const text = (lengthMax: number) =>
    Array.from({ length: random(lengthMax) }, () => pieces[random(pieces.length)] ?? "").join("");
  let matched = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const pattern = text(5) || "a";
    const target = text(6);
    const ignoreCase = random(2) === 0;
    const flags = RE2JS.DOTALL | (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    const want = RE2JS.compile(pattern, flags).testExact(target);
    const got = compileTargetPattern(pattern, ignoreCase, "x")(target);
    if (got !== want)
      expect({ pattern, target, ignoreCase, got }).toEqual({
        pattern,
        target,
        ignoreCase,
        got: want,
      });
    matched += want ? 1 : 0;
  }
  expect(matched).toBeGreaterThan(500);
});

test.each([
  ["", "empty"],
  ["(", "not a valid RE2"],
  ["a".repeat(1025), "longer than 1024 bytes"],
  ["((a{99}){99}){99}", "not a valid RE2"],
])("AZ-13 %p is refused", (pattern, why) => {
  expect(() => compileTargetPattern(pattern, false, 'rule "r": the target pattern')).toThrow(why);
});
