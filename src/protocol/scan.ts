/**
 * The strict scanner every message passes once before anything reads it: JSON syntax to the letter (RFC 8259), no
 * duplicate member at any depth, and bounds on depth, nodes, members and string length. What it accepts,
 * `json-view.ts` may read without checking again; the protocol's own levels it opens on its way.
 */
import { decodeString, type JsonObject, type Member, skipSpace } from "./json-view.ts";

export interface ScanLimits {
  /** Nesting of objects and arrays; a top-level object has depth 1. */
  readonly depthMax: number;
  /** Values of any kind in the whole text. */
  readonly nodesMax: number;
  /** Members of one object. */
  readonly membersMax: number;
  /** UTF-16 units between the quotes of one string, as written. */
  readonly stringCharsMax: number;
}

export const defaultScanLimits: ScanLimits = Object.freeze({
  depthMax: 64,
  nodesMax: 100_000,
  membersMax: 10_000,
  stringCharsMax: 1_048_576,
});

export interface ScanProblem {
  readonly kind: "syntax" | "duplicate-member" | "limit";
  /** What was wrong and what is allowed; safe to show. */
  readonly message: string;
  /** UTF-16 offset of the fault. */
  readonly at: number;
}

/** What came of a text. */
export interface Scanned {
  readonly problem: ScanProblem | undefined;
  /** The object that the text is; undefined where it is another value, or has too many members to be opened. */
  readonly object: JsonObject | undefined;
}

interface Scan {
  readonly text: string;
  readonly limits: ScanLimits;
  nodes: number;
  problem: ScanProblem | undefined;
  /** The object that ended last; undefined where it was not opened. */
  opened: JsonObject | undefined;
}

const failed = -1;
/** Members of an object that are looked through one by one; above, hashing them is faster. */
const fewMembers = 16;
/** Down to the parts of `_meta`: nobody need read these again. Deeper and wider objects would only take up memory. */
const openedDepthMax = 4;

/** Returns the first problem of the text, or undefined where it is one well-formed, bounded JSON value. */
export function scanJson(
  text: string,
  limits: ScanLimits = defaultScanLimits,
): ScanProblem | undefined {
  return scanObjects(text, limits).problem;
}

/** The same, and the objects in it that every message is asked for, opened. */
export function scanObjects(text: string, limits: ScanLimits): Scanned {
  const scan: Scan = { text, limits, nodes: 0, problem: undefined, opened: undefined };
  const start = skipSpace(text, 0);
  const end = scanValue(scan, start, 1);
  if (end === failed) return { problem: scan.problem, object: undefined };
  const rest = skipSpace(text, end);
  if (rest < text.length) fail(scan, "syntax", "unexpected text after the JSON value", rest);
  return { problem: scan.problem, object: objectAt(scan, start) };
}

/** What was opened of the value that was scanned last. */
function objectAt({ text, opened }: Scan, start: number): JsonObject | undefined {
  return text.charCodeAt(start) === 0x7b ? opened : undefined;
}

function scanValue(scan: Scan, at: number, depth: number): number {
  scan.nodes += 1;
  if (scan.nodes > scan.limits.nodesMax) {
    return fail(scan, "limit", `more than ${scan.limits.nodesMax} values`, at);
  }
  const code = scan.text.charCodeAt(at);
  switch (code) {
    case 0x22:
      return scanString(scan, at);
    case 0x7b:
      return scanObject(scan, at, depth);
    case 0x5b:
      return scanArray(scan, at, depth);
    case 0x74:
      return scanWord(scan, at, "true");
    case 0x66:
      return scanWord(scan, at, "false");
    case 0x6e:
      return scanWord(scan, at, "null");
    default:
      return scanNumber(scan, at);
  }
}

function scanObject(scan: Scan, start: number, depth: number): number {
  const { text, limits } = scan;
  if (depth > limits.depthMax) {
    return fail(scan, "limit", `nested deeper than ${limits.depthMax} levels`, start);
  }
  const members: Member[] = [];
  let lookup: Set<string> | undefined;
  let at = skipSpace(text, start + 1);
  if (text.charCodeAt(at) === 0x7d) return endObject(scan, depth, start, at + 1, members);
  for (;;) {
    if (text.charCodeAt(at) !== 0x22) return fail(scan, "syntax", "expected a member name", at);
    const keyStart = at;
    const keyEnd = scanString(scan, keyStart);
    if (keyEnd === failed) return failed;
    const key = decodeString(text, keyStart, keyEnd);
    // Few members: comparing beats hashing. Many: a set, so that the time stays linear.
    const isRepeated = lookup === undefined ? isAmong(members, key) : lookup.has(key);
    if (isRepeated) return fail(scan, "duplicate-member", "duplicate member name in an object", at);
    if (lookup !== undefined) {
      lookup.add(key);
      if (lookup.size > limits.membersMax) {
        return fail(scan, "limit", `more than ${limits.membersMax} members in an object`, at);
      }
    } else if (members.length === fewMembers) {
      lookup = new Set(members.map((member) => member.key)).add(key);
    }
    at = skipSpace(text, keyEnd);
    if (text.charCodeAt(at) !== 0x3a) return fail(scan, "syntax", "expected ':'", at);
    const valueStart = skipSpace(text, at + 1);
    at = scanValue(scan, valueStart, depth + 1);
    if (at === failed) return failed;
    if (lookup === undefined) {
      const object = objectAt(scan, valueStart);
      members.push({ key, keyStart, start: valueStart, end: at, object });
    }
    at = skipSpace(text, at);
    const next = text.charCodeAt(at);
    if (next === 0x7d) {
      return endObject(scan, depth, start, at + 1, lookup === undefined ? members : undefined);
    }
    if (next !== 0x2c) return fail(scan, "syntax", "expected ',' or '}'", at);
    at = skipSpace(text, at + 1);
  }
}

/** Returns the end. `members` are those of an object that has few. */
function endObject(
  scan: Scan,
  depth: number,
  start: number,
  end: number,
  members: readonly Member[] | undefined,
): number {
  const isKept = depth <= openedDepthMax && members !== undefined;
  scan.opened = isKept ? { text: scan.text, start, end, members } : undefined;
  return end;
}

function isAmong(members: readonly Member[], key: string): boolean {
  for (const member of members) if (member.key === key) return true;
  return false;
}

function scanArray(scan: Scan, start: number, depth: number): number {
  const { text, limits } = scan;
  if (depth > limits.depthMax) {
    return fail(scan, "limit", `nested deeper than ${limits.depthMax} levels`, start);
  }
  let at = skipSpace(text, start + 1);
  if (text.charCodeAt(at) === 0x5d) return at + 1;
  for (;;) {
    at = scanValue(scan, at, depth + 1);
    if (at === failed) return failed;
    at = skipSpace(text, at);
    const next = text.charCodeAt(at);
    if (next === 0x5d) return at + 1;
    if (next !== 0x2c) return fail(scan, "syntax", "expected ',' or ']'", at);
    at = skipSpace(text, at + 1);
  }
}

function scanString(scan: Scan, start: number): number {
  const { text } = scan;
  let at = start + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x22) break;
    if (code === 0x5c) {
      const after = scanEscape(text, at);
      if (after === failed) return fail(scan, "syntax", "bad escape in a string", at);
      at = after;
      continue;
    }
    // NaN (past the end) fails both comparisons below, so it is caught here as well.
    if (!(code >= 0x20)) {
      const what = at >= text.length ? "unterminated string" : "control character in a string";
      return fail(scan, "syntax", what, at);
    }
    at += 1;
  }
  if (at - start - 1 > scan.limits.stringCharsMax) {
    return fail(
      scan,
      "limit",
      `string longer than ${scan.limits.stringCharsMax} characters`,
      start,
    );
  }
  return at + 1;
}

function scanEscape(text: string, at: number): number {
  const code = text.charCodeAt(at + 1);
  switch (code) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 2;
    case 0x75:
      for (let digit = at + 2; digit < at + 6; digit += 1) {
        if (!isHexDigit(text.charCodeAt(digit))) return failed;
      }
      return at + 6;
    default:
      return failed;
  }
}

function scanNumber(scan: Scan, start: number): number {
  const { text } = scan;
  let at = start;
  if (text.charCodeAt(at) === 0x2d) at += 1;
  if (text.charCodeAt(at) === 0x30) at += 1;
  else {
    const afterDigits = skipDigits(text, at);
    if (afterDigits === at) return fail(scan, "syntax", "unexpected character", at);
    at = afterDigits;
  }
  if (text.charCodeAt(at) === 0x2e) {
    const afterDigits = skipDigits(text, at + 1);
    if (afterDigits === at + 1) return fail(scan, "syntax", "expected a digit", afterDigits);
    at = afterDigits;
  }
  const exponent = text.charCodeAt(at);
  if (exponent === 0x65 || exponent === 0x45) {
    at += 1;
    const sign = text.charCodeAt(at);
    if (sign === 0x2b || sign === 0x2d) at += 1;
    const afterDigits = skipDigits(text, at);
    if (afterDigits === at) return fail(scan, "syntax", "expected a digit", at);
    at = afterDigits;
  }
  return at;
}

function scanWord(scan: Scan, at: number, word: string): number {
  if (scan.text.startsWith(word, at)) return at + word.length;
  return fail(scan, "syntax", "unexpected word", at);
}

function skipDigits(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) at += 1;
    else return at;
  }
}

function isHexDigit(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x46) ||
    (code >= 0x61 && code <= 0x66)
  );
}

function fail(scan: Scan, kind: ScanProblem["kind"], message: string, at: number): number {
  scan.problem ??= { kind, message, at };
  return failed;
}
