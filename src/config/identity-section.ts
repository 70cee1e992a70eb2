/**
 * The `identity` section: who may call, by which tokens, and the OAuth scopes an endpoint asks for. Part of `schema.ts`.
 */
import { z } from "zod";
import { flag, names, section, text } from "./fields.ts";
import { issuer } from "./issuer-section.ts";

const requiredScopes = z.strictObject({
  scope: z
    .string()
    .regex(/^(\*|[a-z0-9][a-z0-9-]{0,62})$/, "a scope of the path, such as all, or * for each")
    .default("*")
    .describe("The path's first segment; * = every endpoint."),
  oauth_scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, "one OAuth scope, without spaces"))
    .min(1)
    .describe("OAuth scopes a token needs there, all of them."),
});

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
    required_scopes: z
      .array(requiredScopes)
      .default([])
      .describe(
        "OAuth scopes by endpoint; a token without them is challenged. Client tokens pass.",
      ),
    scopes_supported: names("OAuth scopes agents are told of besides the required ones."),
  },
  "Who may call.",
);
