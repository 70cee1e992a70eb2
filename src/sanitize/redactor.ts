/**
 * Redaction as the configuration wants it: what holds for every reply, and profiles that a policy's rules ask for.
 * A profile only adds: nothing that is masked without it is shown with it. Built once at start; the sanitize stage
 * calls it.
 */
import { GatewayError } from "../errors/fault.ts";
import { compileLinearPattern, type LinearPattern } from "../lib/linear-pattern.ts";
import type { JsonObject } from "../protocol/json-view.ts";
import { createSensitiveNames, type SensitiveNames, withListedNames } from "./fields.ts";
import { type Redaction, redactResult, withhold } from "./redact.ts";

export interface RedactionProfile {
  readonly name: string;
  /** Names of fields, compared whole and in any case. */
  readonly fields: readonly string[];
  /** RE2 patterns of what is masked inside texts and numbers. */
  readonly textPatterns: readonly string[];
}

/** Masks one result; `profile` is the name of one, or of several joined by `+`. */
export type Redact = (result: JsonObject, profile?: string) => Redaction;

interface Masking {
  readonly names: SensitiveNames;
  readonly patterns: readonly LinearPattern[];
}

/** How several profiles that hold at once are written as one. */
const joint = "+";
/** Combinations of profiles kept ready. */
const combinationsMax = 256;

/** Throws GatewayError invalid-params for a pattern that cannot be used. Switched off, profiles still hold. */
export function createRedactor(options: {
  readonly isEnabled: boolean;
  readonly extraFields: readonly string[];
  readonly excludedFields: readonly string[];
  readonly profiles?: readonly RedactionProfile[];
}): Redact {
  const { isEnabled, extraFields, excludedFields, profiles = [] } = options;
  const base = isEnabled ? createSensitiveNames(extraFields, excludedFields) : undefined;
  const known = new Map(profiles.map((one) => [one.name, one]));
  const patternsOf = new Map(profiles.map((one) => [one.name, compilePatterns(one)]));
  const ready = new Map<string, Masking | undefined>();

  /** Undefined where one of the names is unknown: then nobody knows what to mask. */
  function maskingOf(joined: string): Masking | undefined {
    if (ready.has(joined)) return ready.get(joined);
    if (ready.size >= combinationsMax) ready.clear();
    const named = joined.split(joint).map((name) => known.get(name));
    const found = named.filter((one) => one !== undefined);
    const made =
      found.length < named.length
        ? undefined
        : {
            names: withListedNames(
              base,
              found.flatMap((one) => one.fields),
            ),
            patterns: found.flatMap((one) => patternsOf.get(one.name) ?? []),
          };
    ready.set(joined, made);
    return made;
  }

  return (result, profile) => {
    if (profile === undefined) {
      return base === undefined ? { result, masked: 0 } : redactResult(result, { names: base });
    }
    const masking = maskingOf(profile);
    return masking === undefined ? withhold("redaction-profile") : redactResult(result, masking);
  };
}

function compilePatterns({ name, textPatterns }: RedactionProfile): readonly LinearPattern[] {
  return textPatterns.map((source) => {
    const pattern = compileLinearPattern(source);
    if (pattern !== undefined) return pattern;
    const message = `redaction profile "${name}": "${source}" is no RE2 pattern that masks something`;
    throw new GatewayError("invalid-params", message);
  });
}
