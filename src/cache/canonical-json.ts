/**
 * RFC 8785 canonical JSON from source text, for cache identities: member order, white space and escapes do not
 * matter. Works on the text because a parsed number may have lost digits that the server would have seen.
 */
import {
  decodeString,
  readArray,
  readObject,
  type Span,
  skipSpace,
  skipValue,
} from "../protocol/json-view.ts";

const depthMax = 64;

/** Canonical text of valid JSON; undefined where it has none (duplicate names, lone surrogates, too deep). */
export function canonicalJson(text: string): string | undefined {
  const start = skipSpace(text, 0);
  return canonicalValue(text, { start, end: skipValue(text, start) }, 0);
}

function canonicalValue(text: string, span: Span, depth: number): string | undefined {
  if (depth > depthMax) return undefined;
  const first = text.charAt(span.start);
  if (first === "{") return canonicalObject(text, span.start, depth);
  if (first === "[") return canonicalArray(text, span.start, depth);
  if (first === '"') return canonicalString(decodeString(text, span.start, span.end));
  const scalar = text.slice(span.start, span.end);
  return /^[tfn]/.test(scalar) ? scalar : canonicalNumber(scalar);
}

function canonicalObject(text: string, start: number, depth: number): string | undefined {
  const sorted = readObject(text, start).members.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const parts: string[] = [];
  let previous: string | undefined;
  for (const member of sorted) {
    const name = canonicalString(member.key);
    const value = canonicalValue(text, member, depth + 1);
    if (name === undefined || value === undefined || member.key === previous) return undefined;
    parts.push(`${name}:${value}`);
    previous = member.key;
  }
  return `{${parts.join(",")}}`;
}

function canonicalArray(text: string, start: number, depth: number): string | undefined {
  const parts: string[] = [];
  for (const element of readArray(text, start)) {
    const value = canonicalValue(text, element, depth + 1);
    if (value === undefined) return undefined;
    parts.push(value);
  }
  return `[${parts.join(",")}]`;
}

function canonicalString(value: string): string | undefined {
  return value.isWellFormed() ? JSON.stringify(value) : undefined;
}

/** A number that a double may not hold exactly keeps its own spelling: two such must not become one. */
function canonicalNumber(source: string): string {
  const digits = source
    .replace(/[eE].*$/, "")
    .replace(/[-.]/g, "")
    .replace(/^0+/, "");
  const value = Number(source);
  const isExact = digits.length <= 15 && Number.isFinite(value) && (value !== 0 || digits === "");
  return isExact ? JSON.stringify(value) : source;
}
