/**
 * The values of conditions, and what stands where there is none: evaluation failed, or depends on a call that is not
 * there yet. Both go through operators as values, so a condition is decided at list time exactly as far as it can be,
 * and nothing is ever coerced (AZ-12): comparing two types is a failure, which no grant survives and every deny does.
 */

/** A length of time; conditions count in milliseconds. */
export class TimeSpan {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

/** In place of a value: how it may still turn out, as a set of `isTrue`, `isFalse` and `isFailed`. */
export class NoValue {
  readonly outcomes: number;
  constructor(outcomes: number) {
    this.outcomes = outcomes;
  }
}

/** An int is a bigint, a double a number, a map a Map, a timestamp a Date. */
export type Value =
  | string
  | bigint
  | number
  | boolean
  | null
  | Date
  | TimeSpan
  | NoValue
  | readonly Value[]
  | ReadonlyMap<string, Value>;

export const isTrue = 1;
export const isFalse = 2;
export const isFailed = 4;

const partial = Array.from({ length: 8 }, (_, outcomes) => new NoValue(outcomes));
/** Evaluation failed: a missing member, a wrong type, an overflow, arguments beyond their bounds. */
export const failed = at(partial, isFailed);
/** Depends on facts of a call, while a list is filtered. */
export const unknown = at(partial, isTrue | isFalse | isFailed);

const int64Max = 2n ** 63n - 1n;
const int64Min = -(2n ** 63n);

/** What a value says as a condition. A value that is no bool is a failure. */
export function outcomesOf(value: Value): number {
  if (value === true) return isTrue;
  if (value === false) return isFalse;
  return value instanceof NoValue ? value.outcomes : isFailed;
}

export function fromOutcomes(outcomes: number): Value {
  if (outcomes === isTrue) return true;
  if (outcomes === isFalse) return false;
  return at(partial, outcomes);
}

/** CEL's `&&`: false beats a failure on the other side, in either order. */
export function and(left: Value, right: Value): Value {
  return fromOutcomes(at(at(andTable, outcomesOf(left)), outcomesOf(right)));
}

/** CEL's `||`: true beats a failure on the other side, in either order. */
export function or(left: Value, right: Value): Value {
  return fromOutcomes(at(at(orTable, outcomesOf(left)), outcomesOf(right)));
}

export function not(value: Value): Value {
  const outcomes = outcomesOf(value);
  const swapped = (outcomes & isTrue ? isFalse : 0) | (outcomes & isFalse ? isTrue : 0);
  return fromOutcomes(swapped | (outcomes & isFailed));
}

/** The one of two that keeps their result from being a value: a failure before something unknown. */
export function lacking(left: Value, right: Value): NoValue | undefined {
  if (!(left instanceof NoValue || right instanceof NoValue)) return undefined;
  return left === failed || right === failed ? failed : unknown;
}

/** The same of any number. */
export function lackingAny(values: readonly Value[]): NoValue | undefined {
  let found: NoValue | undefined;
  for (const value of values) found = lacking(found ?? true, value) ?? found;
  return found;
}

/** Equality of one type; int and double are both numbers. Different types fail, also inside lists and maps. */
export function equals(left: Value, right: Value): Value {
  const none = lacking(left, right);
  if (none !== undefined) return none;
  if (isNumber(left) && isNumber(right)) return order(left, right) === 0;
  if (typeof left !== typeof right) return failed;
  if (typeof left !== "object") return left === right;
  if (left === null) return right === null ? true : failed;
  if (left instanceof Date)
    return right instanceof Date ? left.getTime() === right.getTime() : failed;
  if (left instanceof TimeSpan) return right instanceof TimeSpan ? left.ms === right.ms : failed;
  if (Array.isArray(left)) return Array.isArray(right) ? equalLists(left, right) : failed;
  return left instanceof Map && right instanceof Map ? equalMaps(left, right) : failed;
}

/** Less than zero, zero or more, or undefined where the two have no order. */
export function order(left: Value, right: Value): number | undefined {
  if (isNumber(left) && isNumber(right)) return left < right ? -1 : left > right ? 1 : 0;
  if (typeof left === "string" && typeof right === "string") {
    return left < right ? -1 : left > right ? 1 : 0;
  }
  if (left instanceof Date && right instanceof Date) return left.getTime() - right.getTime();
  if (left instanceof TimeSpan && right instanceof TimeSpan) return left.ms - right.ms;
  return undefined;
}

/** Whether a list holds the value. Any element of another type, where none is equal, is a failure. */
export function holds(list: Value, value: Value): Value {
  const none = lacking(list, value);
  if (none !== undefined) return none;
  if (!Array.isArray(list)) return failed;
  let result: Value = false;
  for (const element of list) result = or(result, equals(element, value));
  return result;
}

export function toInt(value: bigint): Value {
  return value >= int64Min && value <= int64Max ? value : failed;
}

export function toDouble(value: number): Value {
  return Number.isFinite(value) ? value : failed;
}

/** A JSON value that somebody has parsed already, such as a claim. Whole numbers are ints where they are exact. */
export function fromParsed(value: unknown): Value {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? BigInt(value) : toDouble(value);
  if (Array.isArray(value)) return value.map(fromParsed);
  if (typeof value !== "object") return failed;
  return new Map(Object.entries(value).map(([key, member]) => [key, fromParsed(member)]));
}

function isNumber(value: Value): value is bigint | number {
  return typeof value === "bigint" || typeof value === "number";
}

function equalLists(left: readonly Value[], right: readonly Value[]): Value {
  if (left.length !== right.length) return false;
  let result: Value = true;
  for (const [index, element] of left.entries()) {
    result = and(result, equals(element, at(right, index)));
    if (result === false) return false;
  }
  return result;
}

function equalMaps(left: ReadonlyMap<string, Value>, right: ReadonlyMap<string, Value>): Value {
  if (left.size !== right.size) return false;
  let result: Value = true;
  for (const [key, member] of left) {
    const other = right.get(key);
    result = and(result, other === undefined ? false : equals(member, other));
    if (result === false) return false;
  }
  return result;
}

/** Every combination of the outcomes on both sides, worked out once. */
function tabulate(of: (left: number, right: number) => number): readonly (readonly number[])[] {
  const single = [isTrue, isFalse, isFailed];
  const sets = Array.from({ length: 8 }, (_, outcomes) => outcomes);
  return sets.map((left) =>
    sets.map((right) => {
      let result = 0;
      for (const l of single) for (const r of single) if (l & left && r & right) result |= of(l, r);
      return result;
    }),
  );
}

const andTable = tabulate((l, r) =>
  l === isFalse || r === isFalse ? isFalse : l === isTrue && r === isTrue ? isTrue : isFailed,
);
const orTable = tabulate((l, r) =>
  l === isTrue || r === isTrue ? isTrue : l === isFalse && r === isFalse ? isFalse : isFailed,
);

function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new Error(`no element ${index}`);
  return value;
}
