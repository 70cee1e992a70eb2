/**
 * The arguments of a call as conditions read them: single members, parsed from source text when first asked for and
 * once a call, so that a large member nobody asks about costs nothing. Numbers keep what the text says (AZ-12): digits
 * alone are an int and must fit in 64 bits, everything else is a double and must be exact enough to compare.
 */
import { decodeString, type JsonObject, readArray, readObject } from "../protocol/json-view.ts";
import { failed, toDouble, toInt, type Value } from "./expression-values.ts";

export interface ArgumentValues {
  has(name: string): boolean;
  /** A failure where it is missing, or where what conditions read of this call is beyond the bounds. */
  member(name: string): Value;
  whole(): Value;
}

/** Characters of source text that the conditions on one call may read. */
const readCharsMax = 64 * 1024;
/** Elements and members in it; a condition may compare each with each. */
const readValuesMax = 1024;
/** Beyond this doubles are not exact, and servers may read another number. */
const exactMax = 2 ** 53;

/**
 * `text` has passed the scanner, so it is strict JSON without repeated members; undefined = no arguments. Throws where
 * it is no object, which no caller lets through; the decision is a denial then.
 */
export function readArguments(text: string | undefined): ArgumentValues {
  if (text !== undefined && !/^\s*\{/.test(text)) throw new Error("arguments are no object");
  let object: JsonObject | undefined;
  const known = new Map<string, Value>();
  const spent = { chars: 0, values: 0 };

  function open(): JsonObject {
    object ??= readObject(text ?? "{}");
    return object;
  }

  function read(name: string): Value {
    const member = open().members.find((one) => one.key === name);
    return member === undefined ? failed : bounded(member.start, member.end);
  }

  function bounded(start: number, end: number): Value {
    spent.chars += end - start;
    if (spent.chars > readCharsMax) return failed;
    const value = toValue(open().text, start, end, spent);
    return spent.values > readValuesMax ? failed : value;
  }

  return {
    has: (name) => open().members.some((one) => one.key === name),
    member(name) {
      const seen = known.get(name);
      if (seen !== undefined) return seen;
      const value = read(name);
      known.set(name, value);
      return value;
    },
    whole() {
      const entire = new Map<string, Value>();
      for (const { key } of open().members) entire.set(key, this.member(key));
      // One member beyond the bounds leaves no whole to speak about.
      return [...entire.values()].includes(failed) ? failed : entire;
    },
  };
}

function toValue(
  text: string,
  start: number,
  end: number,
  spent: { chars: number; values: number },
): Value {
  spent.values += 1;
  if (spent.values > readValuesMax) return failed;
  switch (text[start]) {
    case '"':
      return decodeString(text, start, end);
    case "{": {
      const entries = new Map<string, Value>();
      for (const one of readObject(text, start).members) {
        const value = toValue(text, one.start, one.end, spent);
        if (value === failed) return failed;
        entries.set(one.key, value);
      }
      return entries;
    }
    case "[": {
      const elements: Value[] = [];
      for (const one of readArray(text, start)) {
        const value = toValue(text, one.start, one.end, spent);
        if (value === failed) return failed;
        elements.push(value);
      }
      return elements;
    }
    case "t":
      return true;
    case "f":
      return false;
    case "n":
      return null;
    default:
      return toNumber(text.slice(start, end));
  }
}

function toNumber(digits: string): Value {
  if (/^-?\d+$/.test(digits)) return digits.length > 20 ? failed : toInt(BigInt(digits));
  const value = Number(digits);
  return Math.abs(value) <= exactMax ? toDouble(value) : failed;
}
