/**
 * Reads a subcommand's flags with node:util's parser and turns its errors into usage errors with advice. Flags of the
 * admin verbs come from the descriptor instead; see `request-fields.ts`.
 */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { findNearest } from "../lib/nearest.ts";
import { messageOf, UsageError } from "./command.ts";

type FlagTable = NonNullable<ParseArgsConfig["options"]>;

/** Parses strictly: unknown flags and missing values are usage errors, with the nearest known flag. */
export function parseFlags<const Flags extends FlagTable>(args: readonly string[], flags: Flags) {
  const options: Flags = flags;
  for (const arg of args) {
    if (arg === "--") break;
    const name = /^--([^=]+)/.exec(arg)?.[1];
    if (name === undefined || name in flags) continue;
    const nearest = findNearest(name, Object.keys(flags));
    const hint = nearest === undefined ? "" : `; did you mean --${nearest}?`;
    throw new UsageError(`unknown flag --${name}${hint}`);
  }
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** A whole number of at least `least`, or undefined where the flag was not given. */
export function parseWholeNumber(
  flag: string,
  text: string | undefined,
  least: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`${flag} needs a whole number of at least ${least}, not "${text}"`);
  }
  return value;
}

/** Refuses positional arguments beyond the named ones; returns exactly those. */
export function needPositionals(given: readonly string[], names: readonly string[]): string[] {
  if (given.length < names.length) {
    throw new UsageError(`missing ${names.slice(given.length).join(" and ")}`);
  }
  if (given.length > names.length) {
    throw new UsageError(`unexpected argument "${given[names.length]}"`);
  }
  return [...given];
}
