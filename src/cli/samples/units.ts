/**
 * Units the sample calculator knows: a dimension, and an exact factor (and offset) to that dimension's base unit. A
 * fact table; factors are decimal text, or a fraction of two.
 */
import { add, divide, multiply, parseRational, type Rational, subtract } from "./rational.ts";

interface Unit {
  readonly dimension: string;
  readonly factor: string;
  /** Added after scaling, for temperatures. */
  readonly offset?: string;
}

const units: Readonly<Record<string, Unit>> = Object.freeze({
  m: { dimension: "length", factor: "1" },
  mm: { dimension: "length", factor: "0.001" },
  cm: { dimension: "length", factor: "0.01" },
  km: { dimension: "length", factor: "1000" },
  in: { dimension: "length", factor: "0.0254" },
  ft: { dimension: "length", factor: "0.3048" },
  yd: { dimension: "length", factor: "0.9144" },
  mi: { dimension: "length", factor: "1609.344" },
  kg: { dimension: "mass", factor: "1" },
  g: { dimension: "mass", factor: "0.001" },
  mg: { dimension: "mass", factor: "0.000001" },
  t: { dimension: "mass", factor: "1000" },
  lb: { dimension: "mass", factor: "0.45359237" },
  oz: { dimension: "mass", factor: "0.028349523125" },
  s: { dimension: "time", factor: "1" },
  ms: { dimension: "time", factor: "0.001" },
  min: { dimension: "time", factor: "60" },
  h: { dimension: "time", factor: "3600" },
  d: { dimension: "time", factor: "86400" },
  l: { dimension: "volume", factor: "1" },
  ml: { dimension: "volume", factor: "0.001" },
  gal: { dimension: "volume", factor: "3.785411784" },
  B: { dimension: "storage", factor: "1" },
  kB: { dimension: "storage", factor: "1000" },
  MB: { dimension: "storage", factor: "1000000" },
  GB: { dimension: "storage", factor: "1000000000" },
  KiB: { dimension: "storage", factor: "1024" },
  MiB: { dimension: "storage", factor: "1048576" },
  GiB: { dimension: "storage", factor: "1073741824" },
  K: { dimension: "temperature", factor: "1" },
  degC: { dimension: "temperature", factor: "1", offset: "273.15" },
  degF: { dimension: "temperature", factor: "5/9", offset: "45967/180" },
});

export const unitNames: readonly string[] = Object.freeze(Object.keys(units));

/** `value` in `from`, expressed in `to`; throws a RangeError where the two do not measure the same thing. */
export function convert(value: Rational, from: string, to: string): Rational {
  const [source, target] = [needUnit(from), needUnit(to)];
  if (source.dimension !== target.dimension) {
    throw new RangeError(
      `${from} measures ${source.dimension}, ${to} measures ${target.dimension}`,
    );
  }
  const base = add(multiply(value, fraction(source.factor)), fraction(source.offset ?? "0"));
  return divide(subtract(base, fraction(target.offset ?? "0")), fraction(target.factor));
}

/** Throws where arithmetic on the unit would depend on where its scale starts. */
export function needScale(name: string): void {
  if (needUnit(name).offset !== undefined) {
    throw new RangeError(`${name} has no true zero; convert to K first`);
  }
}

function needUnit(name: string): Unit {
  const unit = Object.hasOwn(units, name) ? units[name] : undefined;
  if (unit === undefined) {
    throw new RangeError(`"${name}" is not a unit here; there are ${unitNames.join(", ")}`);
  }
  return unit;
}

function fraction(text: string): Rational {
  const [over = "0", under = "1"] = text.split("/");
  return divide(parseRational(over), parseRational(under));
}
