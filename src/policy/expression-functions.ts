/**
 * The functions that conditions may call, and nothing else: each takes time linear in what it is given, and fails
 * rather than guess. Those of CEL mean what CEL says; `inNetwork` and `isUnder` are ours.
 */
import { BlockList, isIP } from "node:net";
import { RE2JS } from "re2js";
import { failed, TimeSpan, toDouble, toInt, type Value } from "./expression-values.ts";
import { canonicalUri } from "./uri.ts";

/** A call's receiver (for a method) and arguments, evaluated and all of them values. */
export type CelFunction = (...values: readonly Value[]) => Value;

/** Makes the function of one call; `literals` are the arguments that the expression spells out, else undefined. */
export type FunctionMaker = (literals: readonly (Value | undefined)[]) => CelFunction;

/** Refused while the policy is loaded; the caller says where. */
export class FunctionRefusal extends Error {}

const matchedCharsMax = 16 * 1024;
const patternBytesMax = 1024;
/** Control characters, half surrogates, backslashes and escapes; an empty segment inside, and dot segments. */
const mayMeanAnother = /[\p{Cc}\p{Cs}\\%]|\/(?:\.{0,2}\/|\.{1,2}$)/u;
const timestampMaxMs = 253_402_300_799_999;
const unitMs = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 } as const;

/** `name/argument count`, with a dot in front for methods. */
export const functions: Readonly<Record<string, FunctionMaker>> = {
  "size/1": () => size,
  ".size/0": () => size,
  ".startsWith/1": () => onTexts((text, prefix) => text.startsWith(prefix)),
  ".endsWith/1": () => onTexts((text, suffix) => text.endsWith(suffix)),
  ".contains/1": () => onTexts((text, part) => text.includes(part)),
  ".lowerAscii/0": () => onText((text) => text.replace(/[A-Z]/g, (one) => one.toLowerCase())),
  ".upperAscii/0": () => onText((text) => text.replace(/[a-z]/g, (one) => one.toUpperCase())),
  ".matches/1": matches,
  ".inNetwork/1": inNetwork,
  ".isUnder/1": isUnder,
  "int/1": () => toIntValue,
  "double/1": () => toDoubleValue,
  "string/1": () => (value) =>
    ["string", "bigint", "boolean"].includes(typeof value) ? String(value) : failed,
  "timestamp/1": () => onText(toTimestamp),
  "duration/1": () => onText(toTimeSpan),
  ...clockReaders("getFullYear", "year", 0),
  ...clockReaders("getMonth", "month", -1),
  ...clockReaders("getDate", "day", 0),
  ...clockReaders("getDayOfMonth", "day", -1),
  ...clockReaders("getDayOfWeek", "weekday", 0),
  ...clockReaders("getHours", "hour", 0),
  ...clockReaders("getMinutes", "minute", 0),
};

function onText(of: (text: string) => Value): CelFunction {
  return (text) => (typeof text === "string" ? of(text) : failed);
}

function onTexts(of: (text: string, other: string) => Value): CelFunction {
  return (text, other) =>
    typeof text === "string" && typeof other === "string" ? of(text, other) : failed;
}

function size(value: Value = failed): Value {
  if (typeof value === "string") {
    let count = 0;
    for (const _ of value) count += 1;
    return BigInt(count);
  }
  if (Array.isArray(value)) return BigInt(value.length);
  return value instanceof Map ? BigInt(value.size) : failed;
}

/** As in CEL it searches: anchor the pattern with `^` and `$` where the whole text is meant. */
function matches([, pattern]: readonly (Value | undefined)[]): CelFunction {
  if (typeof pattern !== "string" || pattern === "") {
    throw new FunctionRefusal("matches() needs a pattern that is spelled out and not empty");
  }
  if (Buffer.byteLength(pattern) > patternBytesMax) {
    throw new FunctionRefusal(`the pattern is longer than ${patternBytesMax} bytes`);
  }
  const compiled = compileOrRefuse(pattern);
  return onText((text) => (text.length > matchedCharsMax ? failed : compiled.matcher(text).find()));
}

function compileOrRefuse(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (cause) {
    throw new FunctionRefusal("the pattern is not a valid RE2 expression", { cause });
  }
}

/** Whether an address lies in a network such as `10.0.0.0/8` or `2001:db8::/32`. */
function inNetwork([, network]: readonly (Value | undefined)[]): CelFunction {
  const [address = "", prefix = ""] = typeof network === "string" ? network.split("/", 2) : [];
  const family = isIP(address);
  const bits = Number(prefix);
  const isUsable = family !== 0 && /^\d{1,3}$/.test(prefix) && bits <= (family === 4 ? 32 : 128);
  if (!isUsable || network !== `${address}/${prefix}`) {
    throw new FunctionRefusal("inNetwork() needs a network that is spelled out, like 10.0.0.0/8");
  }
  const list = new BlockList();
  list.addSubnet(address, bits, family === 4 ? "ipv4" : "ipv6");
  return onText((text) => {
    const kind = isIP(text);
    return kind === 0 ? failed : list.check(text, kind === 4 ? "ipv4" : "ipv6");
  });
}

/**
 * Whether a path or URI is the given one or below it. Whatever a server might read in another way has no answer: dot
 * segments, backslashes, escapes and control characters in a path, and a URI without a canonical form.
 */
function isUnder([, base]: readonly (Value | undefined)[]): CelFunction {
  if (typeof base !== "string")
    throw new FunctionRefusal("isUnder() needs a path that is spelled out");
  const read = base.includes("://") ? canonicalUri : plainPath;
  const above = read(base);
  if (above === undefined) {
    throw new FunctionRefusal("isUnder() needs an absolute path or URI without dot segments");
  }
  const folder = above.endsWith("/") ? above : `${above}/`;
  return onText((text) => {
    const path = read(text);
    return path === undefined ? failed : path === above || path.startsWith(folder);
  });
}

function plainPath(path: string): string | undefined {
  return path.startsWith("/") && !mayMeanAnother.test(path) ? path : undefined;
}

function toIntValue(value: Value = failed): Value {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") {
    return Number.isFinite(value) ? toInt(BigInt(Math.trunc(value))) : failed;
  }
  const isDigits = typeof value === "string" && /^-?\d{1,19}$/.test(value);
  return isDigits ? toInt(BigInt(value)) : failed;
}

function toDoubleValue(value: Value = failed): Value {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  const isDecimal = typeof value === "string" && /^-?\d{1,17}(?:\.\d{1,17})?$/.test(value);
  return isDecimal ? toDouble(Number(value)) : failed;
}

/** RFC 3339, which says its own offset. */
function toTimestamp(text: string): Value {
  const isShaped = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text);
  const date = new Date(isShaped ? text : Number.NaN);
  return Math.abs(date.getTime()) <= timestampMaxMs ? date : failed;
}

/** `1h30m`, `-1.5s`: a sign, then numbers with units. */
function toTimeSpan(text: string): Value {
  if (!/^-?(?:\d{1,12}(?:\.\d{1,9})?(?:h|ms|us|ns|m|s)){1,6}$/.test(text)) return failed;
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)(h|ms|us|ns|m|s)/g)) {
    ms += Number(count) * unitMs[unit as keyof typeof unitMs];
  }
  return new TimeSpan(text.startsWith("-") ? -ms : ms);
}

type ClockPart = "year" | "month" | "day" | "weekday" | "hour" | "minute";
const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const utcParts: Readonly<Record<ClockPart, (time: Date) => number>> = {
  year: (time) => time.getUTCFullYear(),
  month: (time) => time.getUTCMonth() + 1,
  day: (time) => time.getUTCDate(),
  weekday: (time) => time.getUTCDay(),
  hour: (time) => time.getUTCHours(),
  minute: (time) => time.getUTCMinutes(),
};

/** A reader of timestamps, in UTC without an argument and in the named time zone with one. */
function clockReaders(name: string, part: ClockPart, add: number): Record<string, FunctionMaker> {
  const utc: CelFunction = (time) =>
    time instanceof Date ? BigInt(utcParts[part](time) + add) : failed;
  const reader = (zone: string): CelFunction => {
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      [part]: part === "weekday" ? "short" : "numeric",
    });
    return (time) => {
      if (!(time instanceof Date)) return failed;
      const shown = format.formatToParts(time).find(({ type }) => type === part)?.value ?? "";
      const value = part === "weekday" ? weekdays.indexOf(shown) : Number(shown);
      return Number.isInteger(value) && value >= 0 ? BigInt(value + add) : failed;
    };
  };
  return {
    [`.${name}/0`]: () => utc,
    [`.${name}/1`]: ([, zone]) => {
      try {
        if (typeof zone === "string") return reader(zone);
      } catch {
        // Told below, with what would be right.
      }
      throw new FunctionRefusal(
        `${name}() needs a time zone that is spelled out, like Europe/Oslo`,
      );
    },
  };
}
