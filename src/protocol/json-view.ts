/**
 * Reading and rewriting JSON in place. A `JsonObject` is a window on validated source text: its direct members
 * with their positions. Values stay source text until somebody decodes them, and a rewrite replaces exactly the
 * characters it names. The text must have passed `scanJson`: these functions trust its syntax.
 */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Member extends Span {
  /** The decoded member name. */
  readonly key: string;
  /** Where the quoted name starts; `start`/`end` bound the value. */
  readonly keyStart: number;
  /** The value, where it is an object that the scanner opened on its way. */
  readonly object?: JsonObject | undefined;
}

export interface JsonObject {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly members: readonly Member[];
}

const quote = 0x22;
const backslash = 0x5c;

/** Reads the direct members of the object that starts at `start` (at its `{`, or white space before it). */
export function readObject(text: string, start = 0): JsonObject {
  const members: Member[] = [];
  const open = skipSpace(text, start);
  let at = skipSpace(text, open + 1);
  while (text.charCodeAt(at) !== 0x7d) {
    const member = readMember(text, at);
    members.push(member);
    at = skipComma(text, member.end);
  }
  return { text, start: open, end: at + 1, members };
}

/** The member whose quoted name starts at `keyStart`. */
export function readMember(text: string, keyStart: number): Member {
  const keyEnd = skipString(text, keyStart);
  const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
  return {
    key: decodeString(text, keyStart, keyEnd),
    keyStart,
    start,
    end: skipValue(text, start),
  };
}

/** From the end of a member or element to the next one, or to the closing bracket. */
export function skipComma(text: string, end: number): number {
  const at = skipSpace(text, end);
  return text.charCodeAt(at) === 0x2c ? skipSpace(text, at + 1) : at;
}

/** Positions of the elements of the array that starts at `start`. */
export function readArray(text: string, start: number): readonly Span[] {
  const elements: Span[] = [];
  let at = skipSpace(text, skipSpace(text, start) + 1);
  while (text.charCodeAt(at) !== 0x5d) {
    const end = skipValue(text, at);
    elements.push({ start: at, end });
    at = skipComma(text, end);
  }
  return elements;
}

export function findMember(object: JsonObject, key: string): Member | undefined {
  for (const member of object.members) if (member.key === key) return member;
  return undefined;
}

/** Source text of a member's value, or undefined where there is no such member. */
export function memberText(object: JsonObject, key: string): string | undefined {
  const member = findMember(object, key);
  return member === undefined ? undefined : object.text.slice(member.start, member.end);
}

/** Decoded value of a string member; undefined where it is missing or not a string. */
export function stringMember(object: JsonObject, key: string): string | undefined {
  const member = findMember(object, key);
  if (member === undefined || object.text.charCodeAt(member.start) !== quote) return undefined;
  return decodeString(object.text, member.start, member.end);
}

/** A member whose value is an object, opened; undefined where it is missing or something else. */
export function objectMember(object: JsonObject, key: string): JsonObject | undefined {
  const member = findMember(object, key);
  if (member === undefined || object.text.charCodeAt(member.start) !== 0x7b) return undefined;
  return member.object ?? readObject(object.text, member.start);
}

/** Elements of an array member; undefined where it is missing or not an array. */
export function arrayMember(object: JsonObject, key: string): readonly Span[] | undefined {
  const member = findMember(object, key);
  if (member === undefined || object.text.charCodeAt(member.start) !== 0x5b) return undefined;
  return readArray(object.text, member.start);
}

/** Source text of the whole object. */
export function objectText(object: JsonObject): string {
  if (object.start === 0 && object.end === object.text.length) return object.text;
  return object.text.slice(object.start, object.end);
}

/**
 * The object with members changed: a string value is source text that replaces or adds the member, undefined
 * removes it. Every other character stays as it was, white space included; a removed member takes along the comma
 * and the white space before it.
 */
export function withMembers(
  object: JsonObject,
  changes: Readonly<Record<string, string | undefined>>,
): JsonObject {
  const { text, start, end, members } = object;
  const seen = new Set<string>();
  let changed = text.slice(start, members[0]?.keyStart ?? end - 1);
  let hasAny = false;
  for (const [index, member] of members.entries()) {
    let value = text.slice(member.start, member.end);
    if (Object.hasOwn(changes, member.key)) {
      seen.add(member.key);
      const change = changes[member.key];
      if (change === undefined) continue;
      value = change;
    }
    if (hasAny) changed += text.slice(members[index - 1]?.end, member.keyStart);
    changed += text.slice(member.keyStart, member.start) + value;
    hasAny = true;
  }
  for (const [key, change] of Object.entries(changes)) {
    if (change === undefined || seen.has(key)) continue;
    changed += `${hasAny ? "," : ""}${JSON.stringify(key)}:${change}`;
    hasAny = true;
  }
  return readObject(changed + text.slice(members.at(-1)?.end ?? end - 1, end));
}

/** The object with one member's value replaced by source text, where it has it; no other character changes. */
export function replaceMember(object: JsonObject, key: string, by: string): JsonObject {
  const span = findMember(object, key);
  if (span === undefined) return object;
  return readObject(replaceSpans(object.text, [{ span, by }]), object.start);
}

/** The text with spans replaced; `edits` must be in order and must not overlap. */
export function replaceSpans(
  text: string,
  edits: readonly { readonly span: Span; readonly by: string }[],
): string {
  let result = "";
  let from = 0;
  for (const { span, by } of edits) {
    result += text.slice(from, span.start) + by;
    from = span.end;
  }
  return result + text.slice(from);
}

export function skipSpace(text: string, from: number): number {
  let at = from;
  // Within bounds: once a read has missed the text, JSC makes every later one there a call (Bun 1.4).
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0x20 || (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09)) break;
  }
  return at;
}

/** Position after the value that starts at `start`. */
export function skipValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === quote) return skipString(text, start);
  if (first !== 0x7b && first !== 0x5b) return skipScalar(text, start);
  let depth = 0;
  let at = start;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = skipString(text, at);
      continue;
    }
    at += 1;
    if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
}

function skipScalar(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x2c || code === 0x7d || code === 0x5d || code === 0x20) break;
    if (code === 0x0a || code === 0x0d || code === 0x09) break;
  }
  return at;
}

/** Position after the closing quote of the string that starts at `start`. */
function skipString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (text.charCodeAt(end - 1) === backslash && isEscaped(text, end))
    end = text.indexOf('"', end + 1);
  return end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === backslash) slashes += 1;
  return slashes % 2 === 1;
}

/** Decodes the quoted string between `start` and `end`. */
export function decodeString(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes("\\") ? (JSON.parse(text.slice(start, end)) as string) : inner;
}
