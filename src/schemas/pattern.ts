/**
 * Patterns of servers' schemas, matched in linear time whatever they say (PR-22). What an RE2 expression cannot say,
 * such as a look-ahead, is not supported.
 */
import { RE2JS } from "re2js";
import { SchemaRejected } from "./builder.ts";
import { type Run, spend } from "./node.ts";

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

function compile(text: string): RE2JS {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(text));
  } catch {
    throw new SchemaRejected("pattern-unsupported", "not an RE2 expression");
  }
}
