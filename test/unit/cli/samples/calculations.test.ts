/** R09: the calculator's tools give exact answers, and refusals that tell what is allowed. */
import { describe, expect, test } from "bun:test";
import { calculations } from "../../../../src/cli/samples/calculations.ts";

function run(name: string, given: Record<string, unknown>): unknown {
  return calculations[name]?.run(given);
}

describe("R09: results", () => {
  test.each([
    ["add", { a: 0.1, b: 0.2 }, { result: "0.3" }],
    ["exact_calculate", { operator: "add", operands: ["0.1", "0.2"] }, { result: "0.3" }],
    ["exact_calculate", { operator: "sub", operands: ["10", "1", "2"] }, { result: "7" }],
    [
      "exact_calculate",
      { operator: "div", operands: ["1", "7"] },
      { result: "0.1428571428571428571428571429" },
    ],
    [
      "exact_calculate",
      { operator: "mul", operands: ["1e50", "3"], precision: 1 },
      { result: "3e+50" },
    ],
    [
      "exact_statistics",
      { values: ["2", "4", "4", "4", "5", "5", "7", "9"], precision: 6 },
      {
        count: "8",
        sum: "40",
        mean: "5",
        median: "4.5",
        minimum: "2",
        maximum: "9",
        variance: "4.57143",
        standard_deviation: "2.13809",
      },
    ],
    [
      "exact_convert_units",
      { value: "1", from: "mi", to: "km" },
      { result: "1.609344", unit: "km" },
    ],
    [
      "exact_convert_units",
      { value: "212", from: "degF", to: "degC" },
      { result: "100", unit: "degC" },
    ],
    [
      "exact_unit_arithmetic",
      { operator: "add", left: { value: "1", unit: "m" }, right: { value: "5", unit: "cm" } },
      { result: "1.05", unit: "m" },
    ],
    [
      "exact_unit_arithmetic",
      { operator: "div", left: { value: "1", unit: "km" }, right: { value: "250", unit: "m" } },
      { result: "4" },
    ],
    [
      "exact_unit_arithmetic",
      { operator: "mul", left: { value: "2" }, right: { value: "3", unit: "kg" } },
      { result: "6", unit: "kg" },
    ],
  ])("%s %j", (name, given, expected) => {
    expect(run(name, given)).toEqual(expected);
  });
});

describe("R09: refusals", () => {
  test.each([
    ["exact_calculate", { operator: "pow", operands: ["1"] }, "operator must be one of"],
    ["exact_calculate", { operator: "add", operands: [] }, "list of 1 to 1000"],
    ["exact_calculate", { operator: "add", operands: [1] }, "decimal texts only"],
    ["exact_calculate", { operator: "div", operands: ["1", "0"] }, "division by zero"],
    ["exact_calculate", { operator: "add", operands: ["1"], precision: 101 }, "from 1 to 100"],
    ["exact_convert_units", { value: "1", from: "m", to: "kg" }, "m measures length"],
    ["exact_convert_units", { value: "1", from: "m", to: "parsec" }, "is not a unit here"],
    [
      "exact_unit_arithmetic",
      { operator: "add", left: { value: "1", unit: "degC" }, right: { value: "1", unit: "degC" } },
      "no true zero",
    ],
    [
      "exact_unit_arithmetic",
      { operator: "add", left: { value: "1", unit: "m" }, right: { value: "1" } },
      "both sides need a unit",
    ],
  ])("%s %j", (name, given, expected) => {
    expect(() => run(name, given)).toThrow(expected);
  });
});
