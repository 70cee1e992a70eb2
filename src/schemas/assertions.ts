/** The keywords that speak of a value itself: its type, its size, what it may be. */
import {
  type Builder,
  isMap,
  isOld,
  type JsonMap,
  type KeywordBuilder,
  malformed,
  needNames,
  own,
  ownMap,
  ownNumber,
  ownString,
} from "./builder.ts";
import { type Check, fail, type Run, spend } from "./node.ts";

const typeNames = ["array", "boolean", "integer", "null", "number", "object", "string"];
/** Longest list of allowed values that is told in full. */
const allowedCharsMax = 200;

/** In the order they are checked. */
export const assertions: readonly KeywordBuilder[] = [
  buildType,
  buildEnum,
  buildConst,
  numeric("minimum", (value, bound) => value >= bound, "at least"),
  numeric("maximum", (value, bound) => value <= bound, "at most"),
  numeric("exclusiveMinimum", (value, bound) => value > bound, "more than"),
  numeric("exclusiveMaximum", (value, bound) => value < bound, "less than"),
  numeric("multipleOf", isMultiple, "a multiple of"),
  sized("minLength", stringLength, true, "characters"),
  sized("maxLength", stringLength, false, "characters"),
  buildPattern,
  sized("minItems", (value) => (Array.isArray(value) ? value.length : undefined), true, "elements"),
  sized(
    "maxItems",
    (value) => (Array.isArray(value) ? value.length : undefined),
    false,
    "elements",
  ),
  buildUniqueItems,
  sized("minProperties", memberCount, true, "members"),
  sized("maxProperties", memberCount, false, "members"),
  buildRequired,
  buildDependentRequired,
];

function buildType(schema: JsonMap): Check | undefined {
  const value = own(schema, "type");
  if (value === undefined) return undefined;
  const names = needNames(typeof value === "string" ? [value] : value, "type");
  if (!names.every((name) => typeNames.includes(name))) throw malformed("type");
  const expected = `must be ${names.join(" or ")}`;
  if (value === "object") return needsObject;
  const [only = ""] = names;
  if (names.length === 1) {
    return (value, run, at) => isOfType(value, only) || fail(run, at, expected);
  }
  return (value, run, at) => names.some((name) => isOfType(value, name)) || fail(run, at, expected);
}

/** Most schemas of arguments begin with it, and many say nothing else. */
export const needsObject: Check = (value, run, at) =>
  isMap(value) || fail(run, at, "must be object");

function isOfType(value: unknown, name: string): boolean {
  switch (name) {
    case "integer":
      return Number.isInteger(value);
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isMap(value);
    default:
      return typeof value === name;
  }
}

function buildEnum(schema: JsonMap, _builder: Builder): Check | undefined {
  const values = own(schema, "enum");
  if (values === undefined) return undefined;
  if (!Array.isArray(values)) throw malformed("enum");
  return oneOfValues(values);
}

function buildConst(schema: JsonMap): Check | undefined {
  return Object.hasOwn(schema, "const") ? oneOfValues([schema.const]) : undefined;
}

function oneOfValues(values: readonly unknown[]): Check {
  const texts = new Set(values.map((value) => canonical(value)));
  const listed = [...texts].join(", ");
  const shown = listed.length > allowedCharsMax ? `${listed.slice(0, allowedCharsMax)}…` : listed;
  const expected = `must be ${texts.size === 1 ? shown : `one of ${shown}`}`;
  return (value, run, at) => texts.has(canonical(value, run)) || fail(run, at, expected);
}

function numeric(
  keyword: string,
  isGood: (value: number, bound: number) => boolean,
  words: string,
): KeywordBuilder {
  return (schema) => {
    const bound = ownNumber(schema, keyword);
    if (bound === undefined) return undefined;
    if (keyword === "multipleOf" && bound <= 0) throw malformed(keyword);
    const expected = `must be ${words} ${bound}`;
    return (value, run, at) =>
      typeof value !== "number" || isGood(value, bound) || fail(run, at, expected);
  };
}

/** Quotients of decimal fractions are not exact: 0.3 is a multiple of 0.1. */
function isMultiple(value: number, of: number): boolean {
  const quotient = value / of;
  if (!Number.isFinite(quotient)) return value % of === 0;
  return Math.abs(quotient - Math.round(quotient)) <= 1e-12 * Math.max(1, Math.abs(quotient));
}

function sized(
  keyword: string,
  sizeOf: (value: unknown, run: Run) => number | undefined,
  isLeast: boolean,
  unit: string,
): KeywordBuilder {
  return (schema) => {
    const bound = ownNumber(schema, keyword);
    if (bound === undefined) return undefined;
    const expected = `must have at ${isLeast ? "least" : "most"} ${bound} ${unit}`;
    return (value, run, at) => {
      const size = sizeOf(value, run);
      if (size === undefined || (isLeast ? size >= bound : size <= bound)) return true;
      return fail(run, at, expected);
    };
  };
}

/** In code points. */
function stringLength(value: unknown, run: Run): number | undefined {
  if (typeof value !== "string") return undefined;
  spend(run, value.length >> 4);
  let length = value.length;
  for (let at = 1; at < value.length; at += 1) {
    const isTail = (value.charCodeAt(at) & 0xfc00) === 0xdc00;
    if (isTail && (value.charCodeAt(at - 1) & 0xfc00) === 0xd800) length -= 1;
  }
  return length;
}

function memberCount(value: unknown): number | undefined {
  return isMap(value) ? Object.keys(value).length : undefined;
}

function buildPattern(schema: JsonMap, builder: Builder): Check | undefined {
  const text = ownString(schema, "pattern");
  if (text === undefined) return undefined;
  const pattern = builder.pattern(text);
  const expected = `must match the pattern ${text.slice(0, allowedCharsMax)}`;
  return (value, run, at) =>
    typeof value !== "string" || pattern.test(value, run) || fail(run, at, expected);
}

function buildUniqueItems(schema: JsonMap): Check | undefined {
  const wanted = own(schema, "uniqueItems");
  if (wanted !== undefined && typeof wanted !== "boolean") throw malformed("uniqueItems");
  if (wanted !== true) return undefined;
  return (value, run, at) => {
    if (!Array.isArray(value)) return true;
    const texts = new Set(value.map((element) => canonical(element, run)));
    return texts.size === value.length || fail(run, at, "must have no element twice");
  };
}

function buildRequired(schema: JsonMap): Check | undefined {
  const value = own(schema, "required");
  if (value === undefined) return undefined;
  return needsMembers(needNames(value, "required"));
}

function needsMembers(names: readonly string[]): Check {
  return (value, run, at) => {
    if (!isMap(value)) return true;
    spend(run, names.length);
    let valid = true;
    for (const name of names) {
      if (Object.hasOwn(value, name)) continue;
      valid = fail(run, { above: at, key: name }, "is required");
    }
    return valid;
  };
}

function buildDependentRequired(schema: JsonMap, { dialect }: Builder): Check | undefined {
  const keyword = isOld(dialect) ? "dependencies" : "dependentRequired";
  const lists = Object.entries(ownMap(schema, keyword) ?? {})
    .filter(([, names]) => !isOld(dialect) || Array.isArray(names))
    .map(([name, names]) => ({ name, check: needsMembers(needNames(names, keyword)) }));
  if (lists.length === 0) return undefined;
  return (value, run, at, seen) => {
    if (!isMap(value)) return true;
    spend(run, lists.length);
    const asked = lists.filter(({ name }) => Object.hasOwn(value, name));
    return asked.filter(({ check }) => !check(value, run, at, seen)).length === 0;
  };
}

/** Equal values have equal texts: members sorted, numbers by value. */
function canonical(value: unknown, run?: Run): string {
  if (run !== undefined) spend(run, 1 + (typeof value === "string" ? value.length >> 6 : 0));
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one, run)).join(",")}]`;
  if (!isMap(value)) return Object.is(value, -0) ? "0" : numberOrJson(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name], run)}`).join(",")}}`;
}

/** A number beyond a double's range has no JSON of its own. */
function numberOrJson(value: unknown): string {
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
