/**
 * Patterns over whole target names, in time linear in the name. Most that operators write are fixed texts with `.*`
 * around them; those are compared as texts, and everything else by RE2, with the same result.
 */
import { RE2JS } from "re2js";
import { GatewayError } from "../errors/fault.ts";

export type TargetTest = (target: string) => boolean;

const patternBytesMax = 1024;
/** One alternative: plain characters, perhaps with `.*` before or after them. */
const plainAlternative = /^(\.\*)?([A-Za-z0-9_\-:/ @,;=~#%&"'<>!]*)(\.\*)?$/;

/** `where` opens the message of a refusal. Throws GatewayError invalid-params. */
export function compileTargetPattern(
  pattern: string,
  ignoreCase: boolean,
  where: string,
): TargetTest {
  if (pattern === "") {
    throw new GatewayError("invalid-params", `${where} is empty; leave it out to match any target`);
  }
  if (Buffer.byteLength(pattern) > patternBytesMax) {
    throw new GatewayError("invalid-params", `${where} is longer than ${patternBytesMax} bytes`);
  }
  const plain = pattern.split("|").map((one) => comparePlainly(one, ignoreCase));
  const tests = plain.filter((one) => one !== undefined);
  if (tests.length < plain.length) return compileExact(pattern, ignoreCase, where);
  if (!ignoreCase) return (target) => tests.some((test) => test(target));
  let exact: TargetTest | undefined;
  return (target) => {
    // Beyond ASCII, RE2 takes more letters for the same than lower case does (the Kelvin sign is a k).
    if (!isAscii(target)) {
      exact ??= compileExact(pattern, ignoreCase, where);
      return exact(target);
    }
    const lower = target.toLowerCase();
    return tests.some((test) => test(lower));
  };
}

function compileExact(pattern: string, ignoreCase: boolean, where: string): TargetTest {
  const flags = RE2JS.DOTALL | (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  try {
    const compiled = RE2JS.compile(pattern, flags);
    return (target) => compiled.testExact(target);
  } catch (cause) {
    throw new GatewayError("invalid-params", `${where} is not a valid RE2 expression`, { cause });
  }
}

function comparePlainly(alternative: string, ignoreCase: boolean): TargetTest | undefined {
  const parts = plainAlternative.exec(alternative);
  if (parts === null) return undefined;
  const [, before, written = "", after] = parts;
  const text = ignoreCase ? written.toLowerCase() : written;
  if (before && after) return (target) => target.includes(text);
  if (before) return (target) => target.endsWith(text);
  return after ? (target) => target.startsWith(text) : (target) => target === text;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}
