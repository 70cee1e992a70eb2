/**
 * One entry of `identity.jwt.issuers`: whose tokens are believed, where their keys are, and which claims hold what. Part
 * of `identity-section.ts`. What a `provider` lays under it is in `identity/providers/`.
 */
import { z } from "zod";
import { atLeastZero, flag, names, text } from "./fields.ts";

export const jwtAlgorithms = [
  ...["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
] as const;

export const providerNames = ["keycloak", "entra", "okta", "auth0", "cognito", "google"] as const;

const url = (about: string) => z.url({ protocol: /^https?$/ }).describe(about);

const oneProof = "give exactly one of client_secret, client_secret_file and private_key_file";

function hasOneProof(one: {
  readonly client_secret?: string | undefined;
  readonly client_secret_file?: string | undefined;
  readonly private_key_file?: string | undefined;
}): boolean {
  const given = [one.client_secret, one.client_secret_file, one.private_key_file];
  return given.filter(Boolean).length === 1;
}

/** How the gateway proves itself as a client of the issuer: by a secret or by a key. */
const clientProof = {
  client_secret: text("Its secret. Better in client_secret_file.").optional(),
  client_secret_file: text("File with its secret (client_secret_basic).").optional(),
  private_key_file: text("File with its private key in PEM (private_key_jwt).").optional(),
  private_key_algorithm: z
    .enum(jwtAlgorithms)
    .optional()
    .describe("Algorithm of the private key; RS256 where left out."),
  private_key_id: text("The key's `kid` at the issuer.").optional(),
};

const introspection = z
  .strictObject({
    url: url("The introspection endpoint."),
    client_id: text("The gateway's own client at the issuer."),
    ...clientProof,
    opaque_tokens: flag(false, "Tokens that are no JWTs are this issuer's."),
    remember_seconds: z
      .int()
      .min(1)
      .max(60)
      .default(30)
      .describe("Longest an answer is believed; a revocation is seen within it."),
  })
  .refine(hasOneProof, oneProof);

const login = z
  .strictObject({
    client_id: text("The gateway's own client at the issuer, for authorization codes."),
    ...clientProof,
    scopes: z
      .array(
        z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, "one OAuth scope, without spaces"),
      )
      .min(1)
      .default(["openid"])
      .describe("What is asked for; openid must be among it."),
  })
  .refine((one) => one.scopes.includes("openid"), "scopes must hold openid")
  .refine(hasOneProof, oneProof);

const requiredClaim = z.strictObject({
  claim: text("The claim's path."),
  values: z.array(z.string().min(1)).min(1).describe("Its accepted values."),
});

export const issuer = z
  .strictObject({
    issuer: text("Exact value of the `iss` claim; keycloak_url and realm also say it.").optional(),
    provider: z
      .enum(providerNames)
      .optional()
      .describe("Lays what is known of a provider under the rest."),
    keycloak_url: url("Address of a Keycloak; its issuer and keys follow with realm.").optional(),
    realm: text("The Keycloak's realm.").optional(),
    audience: z
      .enum(["listed", "resource"])
      .default("listed")
      .describe(
        "listed = `aud` holds one of audiences; resource = the very endpoint's URI (RFC 8707).",
      ),
    audiences: names("Accepted values of the `aud` claim."),
    algorithms: z
      .array(z.enum(jwtAlgorithms))
      .min(1)
      .optional()
      .describe("Accepted signature algorithms. Needed without provider or introspection."),
    jwks_url: url("Where the keys are; left out, the issuer's metadata says it.").optional(),
    jwks_file: text("File with the issuer's keys.").optional(),
    secret_file: text("File with the shared secret, for HS algorithms.").optional(),
    secret: text("The shared secret. Better in secret_file.").optional(),
    introspection: introspection
      .optional()
      .describe("Ask the issuer about its tokens (RFC 7662), so that revocations are seen."),
    login: login
      .optional()
      .describe(
        "Let its users log in with a browser, to consent to servers that are called in their name (OpenID Connect); needs agents.public_url.",
      ),
    allow_private_network: flag(false, "Let the issuer be in private ranges, or on plain http."),
    clock_skew_seconds: z
      .int()
      .min(0)
      .max(30)
      .default(30)
      .describe("Tolerated difference between the clocks."),
    max_age_minutes: atLeastZero(1_440, "Oldest token accepted, by its issue time; 0 = any."),
    subject_claim: text("Claim that names the caller; sub where left out.").optional(),
    roles_claim: text("Claim that lists roles; roles where left out.").optional(),
    groups_claim: text("Claim that lists groups; groups where left out.").optional(),
    tenant_claim: text("Claim that names the tenant.").optional(),
    workspace_claim: text("Claim that names the workspace.").optional(),
    scope_claim: text("Claim that lists OAuth scopes; scope, else scp, where left out.").optional(),
    client_claim: text("Claim that names the OAuth client; azp, else client_id.").optional(),
    exp_claim: text("Claim with the expiry; exp where left out.").optional(),
    iat_claim: text("Claim with the time of issue; iat where left out.").optional(),
    api_version_claim: text("Claim with the API version; v where left out.").optional(),
    allowed_api_versions: names("Accepted API versions; none named = any, or none."),
    required_claims: z
      .array(requiredClaim)
      .default([])
      .describe("Claims that must be there with one of the values."),
    groups_overage: z
      .enum(["refuse", "ignore"])
      .default("refuse")
      .describe("Tokens whose groups are too many to be in them (Entra)."),
  })
  .refine((one) => (one.issuer ?? one.keycloak_url) !== undefined, "give issuer, or keycloak_url")
  .refine(
    (one) => (one.keycloak_url === undefined) === (one.realm === undefined),
    "keycloak_url and realm go together",
  )
  .refine(
    (one) => [one.jwks_url, one.jwks_file, one.secret_file, one.secret].filter(Boolean).length <= 1,
    "give only one of jwks_url, jwks_file, secret_file and secret",
  )
  .refine(
    (one) =>
      [one.algorithms, one.provider, one.keycloak_url, one.introspection].some(
        (known) => known !== undefined,
      ),
    "give algorithms, or a provider whose algorithms are known",
  )
  .refine(
    (one) => (one.audience === "resource") === (one.audiences.length === 0),
    "give audiences, or audience: resource, and not both",
  );
