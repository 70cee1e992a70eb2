/**
 * The `sanitize` section: what is masked in every reply, and the profiles that policy's rules may ask for besides.
 */
import { z } from "zod";
import { compileLinearPattern, patternCharsMax } from "../lib/linear-pattern.ts";
import { flag, names, section } from "./fields.ts";

const textPattern = z
  .string()
  .refine(
    (source) => compileLinearPattern(source) !== undefined,
    `an RE2 pattern of at most ${patternCharsMax} characters that does not match empty text`,
  );

const profile = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "1 to 63 of a-z, 0-9, _ and -")
    .describe("What rules call it."),
  fields: names("Field names whose values are masked, compared whole and in any case."),
  text_patterns: z
    .array(textPattern)
    .max(32)
    .default([])
    .describe("RE2 patterns; what they find inside texts and numbers is masked."),
});

export const sanitize = section(
  {
    enabled: flag(true, "Mask values of sensitive field names in results."),
    extra_fields: names("Field names masked besides the built-in ones."),
    excluded_fields: names("Field names never masked, except by a profile."),
    profiles: z
      .array(profile)
      .max(64)
      .refine(
        (list) => new Set(list.map((one) => one.name)).size === list.length,
        "two profiles have the same name",
      )
      .default([])
      .describe("What is masked besides where a rule names the profile; see docs/policy.md."),
  },
  "What is masked before a result reaches an agent.",
);
