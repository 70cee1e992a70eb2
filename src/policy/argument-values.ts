/**
 * The arguments of a call as conditions read them: single members, found by reading the source text once and only as
 * far as the conditions ask, and parsed when first asked for, so that what nobody asks about costs nothing. Numbers
 * keep what the text says (AZ-12): digits alone are an int and must fit in 64 bits, everything else is a double and
 * must be exact enough to compare.
 */
import {
  decodeString,
  readArray,
  readMember,
  readObject,
  type Span,
  skipComma,
  skipSpace,
} from "../protocol/json-view.ts";
import { failed, toDouble, toInt, type Value } from "./expression-values.ts";

/** One call's arguments, and how far they have been read. Only the functions here look into it. */
export interface ArgumentValues {
  readonly text: string;
  /** Where the first member starts that was not read yet, or the closing brace. */
  at: number;
  readonly members: Map<string, ReadMember>;
  readonly spent: Spent;
}

interface ReadMember extends Span {
  /** Undefined until it is asked for. */
  value: Value | undefined;
}

interface Spent {
  chars: number;
  values: number;
}

/** Characters of source text that the conditions on one call may read. */
const readCharsMax = 64 * 1024;
/** Elements and members in it; a condition may compare each with each. */
const readValuesMax = 1024;
/** Beyond this doubles are not exact, and servers may read another number. */
const exactMax = 2 ** 53;
const braceOpen = 0x7b;
const braceClose = 0x7d;

/**
 * `text` has passed the scanner, so it is strict JSON without repeated members; undefined = no arguments. Throws where
 * it is no object, which no caller lets through; the decision is a denial then.
 */
export function readArguments(text = "{}"): ArgumentValues {
  const open = skipSpace(text, 0);
  if (text.charCodeAt(open) !== braceOpen) throw new Error("arguments are no object");
  return {
    text,
    at: skipSpace(text, open + 1),
    members: new Map(),
    spent: { chars: 0, values: 0 },
  };
}

export function hasArgument(given: ArgumentValues, name: string): boolean {
  return findMember(given, name) !== undefined;
}

/** A failure where it is missing, or where what conditions read of this call is beyond the bounds. */
export function argumentOf(given: ArgumentValues, name: string): Value {
  const member = findMember(given, name);
  return member === undefined ? failed : readValue(given, member);
}

export function allArguments(given: ArgumentValues): Value {
  while (readNext(given) !== undefined);
  const entire = new Map<string, Value>();
  for (const [name, member] of given.members) entire.set(name, readValue(given, member));
  // One member beyond the bounds leaves no whole to speak about.
  return [...entire.values()].includes(failed) ? failed : entire;
}

/** Every member is read once, however many names are asked for. */
function findMember(given: ArgumentValues, name: string): ReadMember | undefined {
  const known = given.members.get(name);
  if (known !== undefined) return known;
  for (let key = readNext(given); key !== undefined; key = readNext(given)) {
    if (key === name) return given.members.get(name);
  }
  return undefined;
}

/** The name of the next member; undefined after the last. */
function readNext(given: ArgumentValues): string | undefined {
  const { text, at, members } = given;
  if (text.charCodeAt(at) === braceClose) return undefined;
  const { key, start, end } = readMember(text, at);
  // What an operator gives to be explained may repeat a name: the first one stands, whatever is asked when.
  if (!members.has(key)) members.set(key, { start, end, value: undefined });
  given.at = skipComma(text, end);
  return key;
}

function readValue({ text, spent }: ArgumentValues, member: ReadMember): Value {
  // Null is a value, so it is no sign of one not read yet.
  if (member.value === undefined) member.value = bounded(text, member, spent);
  return member.value;
}

function bounded(text: string, { start, end }: Span, spent: Spent): Value {
  spent.chars += end - start;
  if (spent.chars > readCharsMax) return failed;
  const value = toValue(text, start, end, spent);
  return spent.values > readValuesMax ? failed : value;
}

function toValue(text: string, start: number, end: number, spent: Spent): Value {
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
