/**
 * What a rule's obligations may look like. Part of the one table of `resource-shapes.ts`; which names of the
 * configuration exist is checked by `configured-names.ts`.
 */
import type { StepUp } from "../policy/rule.ts";
import {
  flag,
  integer,
  list,
  matching,
  object,
  oneOf,
  optional,
  refuseField,
  type Shape,
} from "./body-shape.ts";
import type { RuleResource } from "./resources.ts";

const configuredName = matching(/^[a-z0-9][a-z0-9_-]{0,62}$/, 63, "a name of the configuration");

/** Travels inside a quoted string of a header, in a list separated by spaces. */
const challengeValue = matching(
  /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/,
  256,
  "visible ASCII without quotes, backslashes and spaces",
);

const anyStepUp = object<StepUp>({
  acrValues: list(challengeValue, 16),
  amrValues: list(challengeValue, 16),
  maxAgeSeconds: optional(integer(1, 365 * 86_400)),
});

const stepUp: Shape<StepUp> = (value, path) => {
  const read = anyStepUp(value, path);
  const { acrValues, amrValues, maxAgeSeconds } = read;
  const isEmpty = acrValues.length + amrValues.length === 0 && maxAgeSeconds === undefined;
  return isEmpty ? refuseField(path, "must ask for acr values, amr values or a maximum age") : read;
};

export const obligationsShape = object<NonNullable<RuleResource["obligations"]>>({
  scopes: optional(list(challengeValue, 64)),
  stepUp: optional(stepUp),
  approval: optional(flag),
  redaction: optional(configuredName),
  auditClass: optional(oneOf(["A+", "A", "B"])),
  rateTier: optional(configuredName),
  rateLimit: optional(
    object({ requests: integer(1, 1_000_000_000), windowSeconds: integer(1, 86_400) }),
  ),
});
