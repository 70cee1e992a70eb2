/**
 * Patterns of servers' schemas, matched in linear time whatever they say (PR-22). What an RE2 expression cannot say,
 * such as a look-ahead, is not matched at all: it is left to the server, and the rest of its schema still holds.
 */
import { RE2JS } from "re2js";
import { type Run, spend } from "./node.ts";
import { SchemaRejected } from "./rejection.ts";

export interface Pattern {
  readonly text: string;
  /** Size of the compiled program, in instructions. */
  readonly size: number;
  test(value: string, run: Run): boolean;
}

const patternCharsMax = 1_024;
/** Instructions times characters that cost one step. */
const matchedPerStep = 32;

export function compilePattern(text: string): Pattern {
  if (text.length > patternCharsMax) {
    throw new SchemaRejected("pattern-too-large", `longer than ${patternCharsMax} characters`);
  }
  const compiled = compile(text);
  if (compiled === undefined) return { text, size: 0, test: () => true };
  const size = compiled.programSize();
  return {
    text,
    size,
    test(value, run) {
      spend(run, 1 + Math.ceil((value.length * size) / matchedPerStep));
      return compiled.test(value);
    },
  };
}

/** Undefined for an expression of ECMA-262 that has no form in RE2. */
function compile(text: string): RE2JS | undefined {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(text));
  } catch {
    if (isExpression(text)) return undefined;
    throw new SchemaRejected("pattern-malformed", "not a regular expression");
  }
}

/** Whether ECMA-262 takes it; it is never run. */
function isExpression(text: string): boolean {
  try {
    return new RegExp(text, "u") instanceof RegExp;
  } catch {
    return false;
  }
}
