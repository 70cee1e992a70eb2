/**
 * The `identity` section: whose tokens are believed, and how they are read. Part of `schema.ts`.
 */
import { z } from "zod";
import { atLeastZero, count, flag, section, text } from "./fields.ts";

export const jwtAlgorithms = [
  ...["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA"],
] as const;

const issuer = z
  .strictObject({
    issuer: text("Exact value of the `iss` claim."),
    audiences: z.array(z.string().min(1)).min(1).describe("Accepted values of the `aud` claim."),
    algorithms: z.array(z.enum(jwtAlgorithms)).min(1).describe("Accepted signature algorithms."),
    jwks_url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe("Where the issuer's keys are."),
    jwks_file: text("File with the issuer's keys.").optional(),
    secret_file: text("File with the shared secret, for HS algorithms.").optional(),
    secret: text("The shared secret. Better in secret_file.").optional(),
    clock_skew_seconds: atLeastZero(30, "Tolerated difference between the clocks."),
    max_age_minutes: count(1_440, "Oldest token accepted, by its `iat` claim."),
    subject_claim: text("Claim that names the caller.").default("sub"),
    roles_claim: text("Claim that lists roles.").default("roles"),
    groups_claim: text("Claim that lists groups.").default("groups"),
    tenant_claim: text("Claim that names the tenant.").optional(),
  })
  .refine(
    (one) =>
      [one.jwks_url, one.jwks_file, one.secret_file, one.secret].filter(Boolean).length === 1,
    "give exactly one of jwks_url, jwks_file, secret_file and secret",
  );

export const identity = section(
  {
    anonymous: flag(false, "Let callers without a credential in, as the principal `anonymous`."),
    token_key_file: text(
      "File with the key of client tokens; nodes that share a database share it. Left out: token.key in data_dir.",
    ).optional(),
    jwt: section(
      { issuers: z.array(issuer).default([]).describe("Token issuers that are believed.") },
      "Tokens of other issuers, besides the gateway's own client tokens.",
    ),
  },
  "Who may call.",
);
