/**
 * Joins what several rules ask of a call into what the call owes. The stricter value of each member holds: all scopes,
 * every step-up with the smallest age, any approval, the stricter audit class, every redaction, every limit. Only the rate tier has no
 * order of its own: the first rule in naming order (priority, then name) that names one decides it.
 */
import type { Obligations, Rule, RuleRateLimit, StepUp } from "./rule.ts";

export type RuleObligations = NonNullable<Rule["obligations"]>;

export interface Obliging {
  readonly name: string;
  readonly obligations?: RuleObligations | undefined;
}

/** Joined over rules in naming order; undefined where they ask for nothing. */
export function joinObligations(rules: readonly Obliging[]): Obligations | undefined {
  const asked = rules.flatMap(({ name, obligations }) =>
    obligations === undefined ? [] : [{ name, ...obligations }],
  );
  if (asked.length === 0) return undefined;
  const redactions = new Set(asked.flatMap(({ redaction }) => redaction?.split("+") ?? []));
  const joined: Obligations = {
    scopes: [...new Set(asked.flatMap(({ scopes }) => scopes ?? []))].sort(),
    stepUp: joinStepUps(asked.flatMap(({ stepUp }) => stepUp ?? [])),
    approval: asked.some(({ approval }) => approval === true),
    redaction: redactions.size === 0 ? undefined : [...redactions].sort().join("+"),
    auditClass: strictestClass(asked.map(({ auditClass }) => auditClass)),
    rateTier: asked.find(({ rateTier }) => rateTier !== undefined)?.rateTier,
    rateLimits: asked.flatMap(({ name, rateLimit }): RuleRateLimit[] =>
      rateLimit === undefined ? [] : [{ rule: name, ...rateLimit }],
    ),
  };
  return isNothing(joined) ? undefined : Object.freeze(joined);
}

/**
 * Two lists of `acr` or `amr` values stay two, since a user must satisfy both and their intersection may be empty, which
 * would read as "any". Each asks for the smallest age, so that one challenge is enough.
 */
function joinStepUps(stepUps: readonly StepUp[]): readonly StepUp[] {
  const ages = stepUps.flatMap(({ maxAgeSeconds }) => maxAgeSeconds ?? []);
  const maxAgeSeconds = ages.length === 0 ? undefined : Math.min(...ages);
  const distinct = new Map<string, StepUp>();
  for (const { acrValues, amrValues } of stepUps) {
    const one = { acrValues: distinctSorted(acrValues), amrValues: distinctSorted(amrValues) };
    if (one.acrValues.length + one.amrValues.length === 0) continue;
    distinct.set(JSON.stringify([one.acrValues, one.amrValues]), { ...one, maxAgeSeconds });
  }
  if (distinct.size === 0) {
    return maxAgeSeconds === undefined ? [] : [{ acrValues: [], amrValues: [], maxAgeSeconds }];
  }
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

function distinctSorted(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort();
}

function strictestClass(classes: readonly Obligations["auditClass"][]): Obligations["auditClass"] {
  return (["A+", "A", "B"] as const).find((one) => classes.includes(one));
}

function isNothing(joined: Obligations): boolean {
  const { scopes, stepUp, approval, redaction, auditClass, rateTier, rateLimits } = joined;
  const isNamed = [redaction, auditClass, rateTier].some((one) => one !== undefined);
  return !isNamed && !approval && scopes.length + stepUp.length + rateLimits.length === 0;
}
