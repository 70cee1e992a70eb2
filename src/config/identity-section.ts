/**
 * The `identity` section: who may call, by which tokens, and the OAuth scopes an endpoint asks for. Part of `schema.ts`.
 */
import { z } from "zod";
import { count, flag, names, port, section, text } from "./fields.ts";
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
    proofs: section(
      {
        window_seconds: z
          .int()
          .min(5)
          .max(3_600)
          .default(120)
          .describe("Oldest request signature or DPoP proof accepted."),
        remembered_max: count(
          200_000,
          "Most proofs remembered, so that none is used twice; a quarter of it for one caller.",
        ),
        dpop_nonce: flag(
          false,
          "Ask for a nonce of this node in every DPoP proof: none can be made ahead, or used on another node.",
        ),
      },
      "Request signatures (RFC 9421) and DPoP proofs (RFC 9449).",
    ),
    dev_issuer: section(
      {
        enabled: flag(
          false,
          "Mint tokens for whoever holds dev-issuer.token. For development; refused under every other preset.",
        ),
        port: port(8_010, "Port of the issuer on loopback; 0 asks for a free one."),
        issuer: text("The `iss` of its tokens.").default("http://127.0.0.1:8010"),
        audience: text("The `aud` of its tokens.").default("mcp-gateway"),
        token_minutes: z
          .int()
          .min(1)
          .max(1_440)
          .default(30)
          .describe("How long its tokens live unless the request says otherwise."),
      },
      "A token issuer of our own, for trying things out.",
    ),
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
