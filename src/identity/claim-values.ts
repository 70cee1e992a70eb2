/**
 * Finding a claim in a payload, and what a date, a name, a list of names and a list of scopes may look like. Pure; used
 * for every claim, so each has the same bounds wherever it stands.
 */
import { isObject } from "./jwt-format.ts";

type Payload = Readonly<Record<string, unknown>>;

const nameLengthMax = 256;
const namesMax = 256;
/** Control and bidirectional-formatting characters: they make two subjects look alike in a record. */
const unprintable = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
/** 9999-12-31: beyond it a "date" is a mistake or an attempt. */
const latestSeconds = 253_402_300_799;

/**
 * The claim at a dotted path. At every level the longest name that is there is taken, so a claim whose own name holds
 * dots (`https://x.example/roles`, `resource_access.my.client.roles`) is found too.
 */
export function claimAt(payload: Payload, path: string): unknown {
  let value: unknown = payload;
  let steps = path.split(".");
  while (steps.length > 0) {
    if (!isObject(value)) return undefined;
    const found = longestName(value, steps);
    if (found === undefined) return undefined;
    value = value[found.name];
    steps = steps.slice(found.steps);
  }
  return value;
}

/** The first of several claims that is there. */
export function firstClaimAt(payload: Payload, paths: readonly string[]): unknown {
  for (const path of paths) {
    const found = claimAt(payload, path);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function isDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= latestSeconds;
}

export function isName(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= nameLengthMax &&
    !unprintable.test(value)
  );
}

export function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= namesMax && value.every(isName);
}

/** A list of scopes, or text with spaces between (RFC 6749 3.3); none where there is no such claim. */
export function readScopes(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  const list = typeof value === "string" ? value.split(" ").filter((one) => one !== "") : value;
  return isNames(list) && list.every((one) => !one.includes(" ")) ? list : undefined;
}

function longestName(
  value: Payload,
  steps: readonly string[],
): { readonly name: string; readonly steps: number } | undefined {
  for (let count = steps.length; count > 0; count -= 1) {
    const name = steps.slice(0, count).join(".");
    if (Object.hasOwn(value, name)) return { name, steps: count };
  }
  return undefined;
}
