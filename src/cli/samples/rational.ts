/**
 * Exact fractions on big integers, and their rounding to decimals. Decimal text in, decimal text out, so that no value
 * ever passes through binary floating point and every answer is the same on every machine. Pure.
 */
export interface Rational {
  readonly numerator: bigint;
  /** Always positive; no common factor with the numerator. */
  readonly denominator: bigint;
}

const textLengthMax = 500;
const exponentMax = 500;
const decimalPattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

/** Reads decimal text such as `-12.50` or `6.02e23`; throws a RangeError that says what is allowed. */
export function parseRational(text: string): Rational {
  const found = text.length <= textLengthMax ? decimalPattern.exec(text.trim()) : null;
  const [, sign = "", whole = "", part = "", exponentText = "0"] = found ?? [];
  const exponent = Number(exponentText);
  if (found === null || whole + part === "" || Math.abs(exponent) > exponentMax) {
    const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    throw new RangeError(`"${shown}" is not a decimal number such as -12.5 or 6.02e23`);
  }
  const digits = BigInt(`${whole}${part}`) * (sign === "-" ? -1n : 1n);
  const scale = exponent - part.length;
  return scale >= 0 ? ratio(digits * tenTo(scale), 1n) : ratio(digits, tenTo(-scale));
}

export function ratio(numerator: bigint, denominator: bigint): Rational {
  if (denominator === 0n) throw new RangeError("division by zero");
  const sign = denominator < 0n ? -1n : 1n;
  const common = divisor(absolute(numerator), absolute(denominator)) * sign;
  return { numerator: numerator / common, denominator: denominator / common };
}

export function add(a: Rational, b: Rational): Rational {
  const numerator = a.numerator * b.denominator + b.numerator * a.denominator;
  return ratio(numerator, a.denominator * b.denominator);
}

export function subtract(a: Rational, b: Rational): Rational {
  return add(a, { numerator: -b.numerator, denominator: b.denominator });
}

export function multiply(a: Rational, b: Rational): Rational {
  return ratio(a.numerator * b.numerator, a.denominator * b.denominator);
}

export function divide(a: Rational, b: Rational): Rational {
  return ratio(a.numerator * b.denominator, a.denominator * b.numerator);
}

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compare(a: Rational, b: Rational): number {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator;
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

/** The square root to at least `precision` significant digits; exact where the root is. */
export function squareRoot(value: Rational, precision: number): Rational {
  if (value.numerator < 0n) throw new RangeError("square root of a negative number");
  const digitsBelow = Math.max(0, digitCount(value.denominator) - digitCount(value.numerator));
  const scale = tenTo(precision + digitsBelow + 8);
  const root = integerRoot(value.numerator * value.denominator * scale * scale);
  return ratio(root, value.denominator * scale);
}

/** Decimal text with at most `precision` significant digits, halves to even, no trailing zeros. */
export function renderDecimal(value: Rational, precision: number): string {
  if (value.numerator === 0n) return "0";
  const size = absolute(value.numerator);
  // The power of ten of the first digit is one of two guesses; the second is right where the first rounds up.
  let exponent = digitCount(size) - digitCount(value.denominator);
  if (compare(ratio(size, value.denominator), powerOfTen(exponent)) < 0) exponent -= 1;
  let digits = roundHalfEven(size, value.denominator, precision - 1 - exponent);
  if (digitCount(digits) > precision) {
    digits /= 10n;
    exponent += 1;
  }
  const text = digits.toString().replace(/0+$/, "");
  return `${value.numerator < 0n ? "-" : ""}${placePoint(text, exponent)}`;
}

/** `numerator/denominator` times ten to `shift`, rounded to a whole number. */
function roundHalfEven(numerator: bigint, denominator: bigint, shift: number): bigint {
  const over = shift >= 0 ? numerator * tenTo(shift) : numerator;
  const under = shift >= 0 ? denominator : denominator * tenTo(-shift);
  const whole = over / under;
  const twice = (over % under) * 2n;
  const goesUp = twice > under || (twice === under && whole % 2n === 1n);
  return goesUp ? whole + 1n : whole;
}

/** `digits` with its first digit at ten to `exponent`; scientific only where zeros would hide the number. */
function placePoint(digits: string, exponent: number): string {
  if (exponent < -12 || exponent > 40) {
    const part = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${digits.charAt(0)}${part}e${exponent > 0 ? "+" : ""}${exponent}`;
  }
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return digits.padEnd(exponent + 1, "0");
  return `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function powerOfTen(exponent: number): Rational {
  return exponent >= 0 ? ratio(tenTo(exponent), 1n) : ratio(1n, tenTo(-exponent));
}

function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let guess = 1n << BigInt((value.toString(2).length + 1) >> 1);
  while (true) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

function divisor(a: bigint, b: bigint): bigint {
  let [left, right] = [a, b];
  while (right !== 0n) [left, right] = [right, left % right];
  return left;
}

const absolute = (value: bigint): bigint => (value < 0n ? -value : value);
const tenTo = (exponent: number): bigint => 10n ** BigInt(exponent);
const digitCount = (value: bigint): number => absolute(value).toString().length;
