/**
 * Patterns that operators write, compiled for a matcher whose time is linear in the text, whatever they wrote. For
 * places that search text; policy has rules of its own for whole names.
 */
import { Matcher, RE2JS } from "re2js";

export interface LinearPattern {
  /** Whether it is found anywhere in the text. */
  isIn(text: string): boolean;
  /** The text with every place it is found replaced. */
  replaceIn(text: string, by: string): string;
}

export const patternCharsMax = 512;

/** Undefined where it is no RE2 expression, is too long, or is found even in an empty text. */
export function compileLinearPattern(source: string): LinearPattern | undefined {
  if (source === "" || source.length > patternCharsMax) return undefined;
  const pattern = tryCompile(source);
  if (pattern === undefined || pattern.matcher("").find()) return undefined;
  return {
    isIn: (text) => pattern.matcher(text).find(),
    replaceIn: (text, by) => pattern.matcher(text).replaceAll(Matcher.quoteReplacement(by)),
  };
}

function tryCompile(source: string): RE2JS | undefined {
  try {
    return RE2JS.compile(source);
  } catch {
    return undefined;
  }
}
