/** Exact arithmetic: nothing passes through binary floating point. */
import { describe, expect, test } from "bun:test";
import * as exact from "../../../../src/cli/samples/rational.ts";

const { parseRational: parse, renderDecimal: render } = exact;

describe("decimal text in and out", () => {
  test.each([
    ["0", 28, "0"],
    ["-0.0", 28, "0"],
    ["1.50", 28, "1.5"],
    [".5", 28, "0.5"],
    ["5.", 28, "5"],
    ["1e3", 28, "1000"],
    ["6.02e23", 28, "602000000000000000000000"],
    ["1e-20", 28, "1e-20"],
    ["1e60", 28, "1e+60"],
    ["123456", 3, "123000"],
    ["0.125", 2, "0.12"],
    ["0.135", 2, "0.14"],
    ["9.99", 2, "10"],
    ["99999", 1, "100000"],
    ["-2.5", 1, "-2"],
  ])("%s to %d digits is %s", (text, precision, expected) => {
    expect(render(parse(text), precision)).toBe(expected);
  });

  test.each(["", ".", "1,5", "0x10", "1e", "1e999", "NaN", "١", "1".repeat(501), "1 2"])(
    "%p is refused",
    (text) => expect(() => parse(text)).toThrow(RangeError),
  );
});

test("0.1 + 0.2 is 0.3", () => {
  expect(render(exact.add(parse("0.1"), parse("0.2")), 28)).toBe("0.3");
});

test.each([
  ["1", "3", 5, "0.33333"],
  ["2", "3", 28, "0.6666666666666666666666666667"],
  ["1", "-8", 10, "-0.125"],
])("%s / %s to %d digits", (a, b, precision, expected) => {
  expect(render(exact.divide(parse(a), parse(b)), precision)).toBe(expected);
});

test("division by zero is refused", () => {
  expect(() => exact.divide(parse("1"), parse("0"))).toThrow("division by zero");
});

test.each([
  ["2", 30, "1.41421356237309504880168872421"],
  ["0.25", 28, "0.5"],
  ["1e-100", 5, "1e-50"],
  ["0", 5, "0"],
])("root of %s", (text, precision, expected) => {
  expect(render(exact.squareRoot(parse(text), precision), precision)).toBe(expected);
});
