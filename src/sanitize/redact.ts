/**
 * Masks the values of sensitive fields in a result: in `structuredContent` and every other member, and in JSON that
 * lies inside text. Works on source text and replaces masked values alone. `_meta` belongs to the protocol and is
 * left, and of a question to the agent its state, the names of its parts and the schemas of its forms, where a field
 * called `password` is a description and no secret. Where a bound is hit the result is withheld: unread is not the same
 * as clean.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { LinearPattern } from "../lib/linear-pattern.ts";
import { isInputRequired } from "../protocol/input-required.ts";
import {
  decodeString,
  type JsonObject,
  objectText,
  readObject,
  replaceSpans,
  type Span,
  skipSpace,
  skipValue,
} from "../protocol/json-view.ts";
import { isAskingTask } from "../protocol/tasks.ts";
import { builtInNames, type SensitiveNames } from "./fields.ts";

export interface RedactOptions {
  /** Largest result looked at, in characters. Default 16 Mi. */
  readonly lengthMax?: number;
  /** Deepest nesting looked at. Default 128. */
  readonly depthMax?: number;
  /** How often JSON may lie inside text inside JSON. Default 4. */
  readonly embeddingMax?: number;
  /** What is masked. Default: the built-in vocabulary. */
  readonly names?: SensitiveNames;
  /** What is masked inside texts and numbers, wherever they stand. Default: nothing. */
  readonly patterns?: readonly LinearPattern[];
}

export type Redaction =
  | { readonly result: JsonObject; readonly masked: number }
  | { readonly fault: Fault };

const maskText = "[redacted]";
const mask = JSON.stringify(maskText);
/** Patterns take their time, so less is searched by them. */
const searchedCharsMax = 1024 * 1024;

/** Members of a question whose names are the server's own, and which hold no values of anybody. */
const describing = new Set(["requestState", "requestedSchema", "inputSchema", "outputSchema"]);

/** Members of the protocol's own levels that no pattern searches: they mean something to it, or are bytes and no text. */
const unsearched = new Set([
  ...["type", "role", "mimeType", "uri", "resultType", "status", "taskId", "data", "blob"],
]);

interface Limits {
  readonly depthMax: number;
  readonly embeddingMax: number;
  readonly names: SensitiveNames;
  readonly patterns: readonly LinearPattern[];
}

interface Edit {
  readonly span: Span;
  readonly by: string;
}

/** One pass over one JSON text. */
interface Pass {
  readonly text: string;
  readonly limits: Limits;
  /** How many texts this one lies inside of. */
  readonly embedding: number;
  /** The text is a server's question to the agent's side. */
  readonly isQuestion: boolean;
  /** Where a question's map of requests ends, once met: the names in it are the server's own. */
  keysUntil: number;
  readonly edits: Edit[];
  masked: number;
}

class LimitHit extends Error {}

/** The result with sensitive values masked; the same object where there was nothing to mask. */
export function redactResult(result: JsonObject, options: RedactOptions = {}): Redaction {
  const { lengthMax = 16 * 1024 * 1024, depthMax = 128, embeddingMax = 4 } = options;
  const { names = builtInNames, patterns = [] } = options;
  const text = objectText(result);
  const charsMax = patterns.length === 0 ? lengthMax : Math.min(lengthMax, searchedCharsMax);
  if (text.length > charsMax) return withhold("redaction-too-large");
  if (patterns.length === 0 && !names.mayOccurIn(text)) return { result, masked: 0 };
  try {
    const limits = { depthMax, embeddingMax, names, patterns };
    const { text: cleaned, masked } = redactText(
      text,
      limits,
      0,
      isInputRequired(result) || isAskingTask(result),
    );
    return masked === 0 ? { result, masked } : { result: readObject(cleaned), masked };
  } catch (error) {
    return withhold(error instanceof LimitHit ? "redaction-limit" : "redaction-failed");
  }
}

export function withhold(reason: string): Redaction {
  const message = "The result was withheld: it could not be checked for sensitive values";
  return { fault: createFault("upstream-invalid", message, { reason }) };
}

/** Masks one valid JSON text. */
function redactText(
  text: string,
  limits: Limits,
  embedding: number,
  isQuestion = false,
): { readonly text: string; readonly masked: number } {
  const pass: Pass = { text, limits, embedding, isQuestion, keysUntil: 0, edits: [], masked: 0 };
  // Only the protocol's own levels have a `_meta`: in embedded JSON and structured content it is anybody's.
  walkValue(pass, skipSpace(text, 0), 0, embedding === 0);
  return { text: replaceSpans(text, pass.edits), masked: pass.masked };
}

/** Visits the value that starts at `at`; returns the position after it. */
function walkValue(pass: Pass, at: number, depth: number, isProtocol: boolean): number {
  if (depth > pass.limits.depthMax) throw new LimitHit();
  const first = pass.text.charAt(at);
  if (first === "{") return walkObject(pass, at, depth, isProtocol);
  if (first === "[") return walkArray(pass, at, depth, isProtocol);
  const end = skipValue(pass.text, at);
  if (first === '"') walkString(pass, { start: at, end });
  else if (/[-0-9]/.test(first)) walkNumber(pass, { start: at, end });
  return end;
}

function walkObject(pass: Pass, open: number, depth: number, isProtocol: boolean): number {
  const { text } = pass;
  let at = skipSpace(text, open + 1);
  while (text.charAt(at) !== "}") {
    const nameEnd = skipValue(text, at);
    const name = decodeString(text, at, nameEnd);
    at = skipSpace(text, skipSpace(text, nameEnd) + 1);
    at = walkMember(pass, name, at, depth, isProtocol);
    at = skipSpace(text, at);
    if (text.charAt(at) === ",") at = skipSpace(text, at + 1);
  }
  return at + 1;
}

function walkMember(
  pass: Pass,
  name: string,
  at: number,
  depth: number,
  isProtocol: boolean,
): number {
  if (isProtocol && (name === "_meta" || (pass.isQuestion && describing.has(name)))) {
    return skipValue(pass.text, at);
  }
  if (pass.isQuestion && depth === 0 && name === "inputRequests") {
    pass.keysUntil = skipValue(pass.text, at);
  }
  const isText = pass.text.charAt(at) === '"';
  if (isProtocol && isText && unsearched.has(name) && !pass.limits.names.includes(name)) {
    const end = skipValue(pass.text, at);
    walkString(pass, { start: at, end }, false);
    return end;
  }
  const isKey = depth === 1 && at < pass.keysUntil;
  if (isKey || !pass.limits.names.includes(name)) {
    return walkValue(pass, at, depth + 1, isProtocol && name !== "structuredContent");
  }
  const end = skipValue(pass.text, at);
  const valueStart = pass.text.slice(at, Math.min(end, at + 5));
  const isListed = pass.limits.names.isListed?.(name) === true;
  if (isListed ? valueStart.startsWith("null") : tellsNothing(name, valueStart)) return end;
  pass.edits.push({ span: { start: at, end }, by: mask });
  pass.masked += 1;
  return end;
}

/** `null`, `true` and `false` hold no secret, and `totalTokens: 512` is a measure. */
function tellsNothing(name: string, valueStart: string): boolean {
  if (/^(?:null|true|false)/.test(valueStart)) return true;
  return /tokens$/i.test(name) && /^[-0-9]/.test(valueStart);
}

function walkArray(pass: Pass, open: number, depth: number, isProtocol: boolean): number {
  const { text } = pass;
  let at = skipSpace(text, open + 1);
  while (text.charAt(at) !== "]") {
    at = skipSpace(text, walkValue(pass, at, depth + 1, isProtocol));
    if (text.charAt(at) === ",") at = skipSpace(text, at + 1);
  }
  return at + 1;
}

/** A string that is itself JSON is masked inside; its own spelling changes only where something was. */
function walkString(pass: Pass, span: Span, isSearched = true): void {
  const { names, patterns, embeddingMax } = pass.limits;
  const source = pass.text.slice(span.start, span.end);
  if (patterns.length === 0 && !names.mayOccurIn(source)) return;
  const inner = decodeString(pass.text, span.start, span.end);
  const first = inner.charAt(skipSpace(inner, 0));
  if ((first !== "{" && first !== "[" && first !== '"') || !isJson(inner)) {
    if (isSearched) searchText(pass, span, inner);
    return;
  }
  const embedding = pass.embedding + 1;
  if (embedding > embeddingMax) throw new LimitHit();
  const { text, masked } = redactText(inner, pass.limits, embedding);
  if (masked === 0) return;
  pass.edits.push({ span, by: JSON.stringify(text) });
  pass.masked += masked;
}

/** Masks what the patterns find, and leaves the words around it. */
function searchText(pass: Pass, span: Span, inner: string): void {
  let cleaned = inner;
  for (const pattern of pass.limits.patterns) cleaned = pattern.replaceIn(cleaned, maskText);
  if (cleaned === inner) return;
  pass.edits.push({ span, by: JSON.stringify(cleaned) });
  pass.masked += 1;
}

/** Half a number is another number, so it is masked whole. */
function walkNumber(pass: Pass, span: Span): void {
  const text = pass.text.slice(span.start, span.end);
  if (!pass.limits.patterns.some((pattern) => pattern.isIn(text))) return;
  pass.edits.push({ span, by: mask });
  pass.masked += 1;
}

/** Anything but a syntax error means that it could not be judged, which is passed on. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
