/**
 * The sample calculator's tools (R09) as definitions and pure functions: exact decimal arithmetic, statistics and
 * units. No transport here; `calculator.ts` serves them.
 */
import * as exact from "./rational.ts";
import { convert, needScale, unitNames } from "./units.ts";

type Arguments = Readonly<Record<string, unknown>>;

export interface Calculation {
  readonly description: string;
  readonly properties: Readonly<Record<string, object>>;
  readonly required: readonly string[];
  /** Throws a RangeError that tells the caller what is allowed. */
  run(given: Arguments): Readonly<Record<string, string>>;
}

const operandsMax = 1_000;
const operators = ["add", "sub", "mul", "div"] as const;
const decimal = { type: "string", description: "Decimal text, such as 0.1 or 6.02e23" };
const decimals = { type: "array", items: decimal, minItems: 1, maxItems: operandsMax };
const operator = { type: "string", enum: operators };
const unit = { type: "string", enum: unitNames };
const precision = {
  type: "integer",
  minimum: 1,
  maximum: 100,
  default: 28,
  description: "Significant digits of the answer; halves round to even",
};
const quantity = {
  type: "object",
  properties: { value: decimal, unit },
  required: ["value"],
  additionalProperties: false,
};

export const calculations: Readonly<Record<string, Calculation>> = Object.freeze({
  add: {
    description: "Adds two numbers.",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
    run: (given) => {
      const [a, b] = [needNumber(given, "a"), needNumber(given, "b")];
      const sum = exact.add(exact.parseRational(String(a)), exact.parseRational(String(b)));
      return { result: exact.renderDecimal(sum, 28) };
    },
  },
  exact_calculate: {
    description: "Adds, subtracts, multiplies or divides decimals exactly, from left to right.",
    properties: { operator, operands: decimals, precision },
    required: ["operator", "operands"],
    run: (given) => {
      const apply = needOperator(given);
      const [first, ...rest] = needDecimals(given, "operands");
      if (first === undefined) throw new RangeError("operands must not be empty");
      return { result: exact.renderDecimal(rest.reduce(apply, first), readPrecision(given)) };
    },
  },
  exact_statistics: {
    description: "Count, sum, mean, median, extremes, sample variance and standard deviation.",
    properties: { values: decimals, precision },
    required: ["values"],
    run: (given) => summarize(needDecimals(given, "values"), readPrecision(given)),
  },
  exact_convert_units: {
    description: "Converts a quantity between units of the same dimension, exactly.",
    properties: { value: decimal, from: unit, to: unit, precision },
    required: ["value", "from", "to"],
    run: (given) => {
      const value = exact.parseRational(needText(given, "value"));
      const to = needText(given, "to");
      const converted = convert(value, needText(given, "from"), to);
      return { result: exact.renderDecimal(converted, readPrecision(given)), unit: to };
    },
  },
  exact_unit_arithmetic: {
    description:
      "Adds or subtracts two quantities of one dimension, scales one by a plain number, or divides two into a ratio.",
    properties: { operator, left: quantity, right: quantity, precision },
    required: ["operator", "left", "right"],
    run: (given) => combine(given),
  },
});

function summarize(
  values: readonly exact.Rational[],
  digits: number,
): Readonly<Record<string, string>> {
  const sorted = [...values].sort(exact.compare);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) throw new RangeError("values must not be empty");
  const count = exact.ratio(BigInt(values.length), 1n);
  const sum = values.reduce(exact.add);
  const mean = exact.divide(sum, count);
  const render = (value: exact.Rational) => exact.renderDecimal(value, digits);
  const summary: Record<string, string> = {
    count: String(values.length),
    sum: render(sum),
    mean: render(mean),
    median: render(findMedian(sorted)),
    minimum: render(least),
    maximum: render(most),
  };
  if (values.length > 1) {
    const squares = values.map((value) => {
      const distance = exact.subtract(value, mean);
      return exact.multiply(distance, distance);
    });
    const variance = exact.divide(
      squares.reduce(exact.add),
      exact.ratio(BigInt(values.length - 1), 1n),
    );
    summary.variance = render(variance);
    summary.standard_deviation = render(exact.squareRoot(variance, digits));
  }
  return summary;
}

function findMedian(sorted: readonly exact.Rational[]): exact.Rational {
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new RangeError("values must not be empty");
  return exact.divide(exact.add(low, high), exact.ratio(2n, 1n));
}

function combine(given: Arguments): Readonly<Record<string, string>> {
  const [left, right] = [needQuantity(given, "left"), needQuantity(given, "right")];
  const apply = needOperator(given);
  const digits = readPrecision(given);
  for (const name of [left.unit, right.unit]) if (name !== undefined) needScale(name);
  const isScaling = given.operator === "mul" || given.operator === "div";
  if (left.unit !== undefined && right.unit !== undefined) {
    if (given.operator === "mul") throw new RangeError("mul needs one side without a unit");
    const aligned = convert(right.value, right.unit, left.unit);
    const result = exact.renderDecimal(apply(left.value, aligned), digits);
    return isScaling ? { result } : { result, unit: left.unit };
  }
  const oneUnit = left.unit ?? right.unit;
  if (oneUnit !== undefined && !isScaling)
    throw new RangeError("both sides need a unit, or neither");
  if (left.unit === undefined && right.unit !== undefined && given.operator === "div") {
    throw new RangeError("a plain number cannot be divided by a quantity here");
  }
  const result = exact.renderDecimal(apply(left.value, right.value), digits);
  return oneUnit === undefined ? { result } : { result, unit: oneUnit };
}

function needOperator(given: Arguments): (a: exact.Rational, b: exact.Rational) => exact.Rational {
  switch (given.operator) {
    case "add":
      return exact.add;
    case "sub":
      return exact.subtract;
    case "mul":
      return exact.multiply;
    case "div":
      return exact.divide;
    default:
      throw new RangeError(`operator must be one of ${operators.join(", ")}`);
  }
}

function readPrecision(given: Arguments): number {
  const asked = given.precision ?? 28;
  if (typeof asked !== "number" || !Number.isInteger(asked) || asked < 1 || asked > 100) {
    throw new RangeError("precision must be a whole number from 1 to 100");
  }
  return asked;
}

function needDecimals(given: Arguments, name: string): readonly exact.Rational[] {
  const texts = given[name];
  if (!Array.isArray(texts) || texts.length === 0 || texts.length > operandsMax) {
    throw new RangeError(`${name} must be a list of 1 to ${operandsMax} decimal texts`);
  }
  return texts.map((text) => {
    if (typeof text !== "string") throw new RangeError(`${name} must hold decimal texts only`);
    return exact.parseRational(text);
  });
}

function needQuantity(
  given: Arguments,
  name: string,
): { readonly value: exact.Rational; readonly unit: string | undefined } {
  const inner = given[name];
  if (typeof inner !== "object" || inner === null || !("value" in inner)) {
    throw new RangeError(`${name} must be an object with a value, and a unit where it has one`);
  }
  const value = exact.parseRational(needText({ value: inner.value }, "value"));
  return { value, unit: "unit" in inner ? needText({ unit: inner.unit }, "unit") : undefined };
}

function needText(given: Arguments, name: string): string {
  const value = given[name];
  if (typeof value !== "string") throw new RangeError(`${name} must be text`);
  return value;
}

function needNumber(given: Arguments, name: string): number {
  const value = given[name];
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new RangeError(`${name} must be a number`);
  }
  return value;
}
