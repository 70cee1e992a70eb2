/**
 * Arithmetic and order of conditions. Ints stay within 64 bits and doubles finite, or it is a failure; the two never
 * mix in arithmetic, as in CEL.
 */
import {
  failed,
  lacking,
  order,
  TimeSpan,
  toDouble,
  toInt,
  type Value,
} from "./expression-values.ts";

type Binary = (left: Value, right: Value) => Value;

export const comparisons: Readonly<Record<string, Binary>> = {
  "<": compared((difference) => difference < 0),
  "<=": compared((difference) => difference <= 0),
  ">": compared((difference) => difference > 0),
  ">=": compared((difference) => difference >= 0),
};

export const arithmetic: Readonly<Record<string, Binary>> = {
  "+": onNumbers(
    (left, right) => left + right,
    (left, right) => left + right,
    addTimes,
  ),
  "-": onNumbers(
    (left, right) => left - right,
    (left, right) => left - right,
    subtractTimes,
  ),
  "*": onNumbers(
    (left, right) => left * right,
    (left, right) => left * right,
  ),
  "/": onNumbers(
    (left, right) => (right === 0n ? undefined : left / right),
    (left, right) => left / right,
  ),
  "%": onNumbers((left, right) => (right === 0n ? undefined : left % right)),
};

function compared(is: (difference: number) => boolean): Binary {
  return (left, right) => {
    const none = lacking(left, right);
    if (none !== undefined) return none;
    const difference = order(left, right);
    return difference === undefined ? failed : is(difference);
  };
}

function onNumbers(
  ofInts: (left: bigint, right: bigint) => bigint | undefined,
  ofDoubles?: (left: number, right: number) => number,
  otherwise: Binary = () => failed,
): Binary {
  return (left, right) => {
    const none = lacking(left, right);
    if (none !== undefined) return none;
    if (typeof left === "bigint" && typeof right === "bigint") {
      const result = ofInts(left, right);
      return result === undefined ? failed : toInt(result);
    }
    if (typeof left === "number" && typeof right === "number") {
      return ofDoubles === undefined ? failed : toDouble(ofDoubles(left, right));
    }
    return otherwise(left, right);
  };
}

/** Also joins texts, which is what `+` means for them. */
function addTimes(left: Value, right: Value): Value {
  if (typeof left === "string" && typeof right === "string") return left + right;
  if (left instanceof TimeSpan && right instanceof TimeSpan)
    return new TimeSpan(left.ms + right.ms);
  if (left instanceof Date && right instanceof TimeSpan) return new Date(left.getTime() + right.ms);
  if (left instanceof TimeSpan && right instanceof Date) return new Date(left.ms + right.getTime());
  return failed;
}

function subtractTimes(left: Value, right: Value): Value {
  if (left instanceof Date && right instanceof Date)
    return new TimeSpan(left.getTime() - right.getTime());
  if (left instanceof Date && right instanceof TimeSpan) return new Date(left.getTime() - right.ms);
  if (left instanceof TimeSpan && right instanceof TimeSpan)
    return new TimeSpan(left.ms - right.ms);
  return failed;
}
