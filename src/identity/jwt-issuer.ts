/**
 * The check that what an operator says about one token issuer makes sense. `jwt.ts` verifies against the checked form;
 * nothing a token says can change which algorithms or keys are used.
 */
import { GatewayError } from "../errors/fault.ts";
import { type AudienceRule, canonicalBase } from "./audience.ts";
import type { IntrospectionConfig } from "./introspection-client.ts";
import {
  algorithmNames,
  isAlgorithm,
  isPublicKey,
  type JwtAlgorithm,
  secretBytesMin,
} from "./jwt-algorithms.ts";
import type { JwtIssuerConfig } from "./jwt-issuer-config.ts";
import { type AppliedIssuer, applyProvider, definedOf } from "./providers/apply.ts";
import type { ClaimPaths, Provider, RequiredClaim } from "./providers/provider.ts";

export type KeyPlace =
  | { readonly kind: "secret"; readonly secret: Uint8Array }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "file"; readonly path: string }
  /** The issuer's metadata document says it. */
  | { readonly kind: "discovery"; readonly issuer: string }
  /** Tokens are not checked here at all: the issuer is asked about each. */
  | { readonly kind: "none" };

type CompleteClaims = ClaimPaths & {
  readonly [Name in Exclude<keyof ClaimPaths, "tenant" | "workspace">]-?: NonNullable<
    ClaimPaths[Name]
  >;
};

export interface CheckedIssuer extends Pick<Provider, "groupsAreElsewhere"> {
  readonly issuer: string;
  readonly aliases: readonly string[];
  readonly audience: AudienceRule;
  readonly algorithms: readonly JwtAlgorithm[];
  readonly keys: KeyPlace;
  readonly introspection: IntrospectionConfig | undefined;
  readonly allowPrivateNetwork: boolean;
  readonly clockSkewSeconds: number;
  readonly claims: CompleteClaims;
  readonly requiredClaims: readonly RequiredClaim[];
  readonly maxAgeSeconds: number | undefined;
}

const claimDefaults = {
  subject: "sub",
  roles: "roles",
  groups: "groups",
  scopes: ["scope", "scp"],
  clientId: ["azp", "client_id"],
  audience: ["aud"],
  expiry: "exp",
  issuedAt: "iat",
} as const;

/** The checked form, or invalid-params with what is wrong; `publicUrl` is where agents reach this gateway. */
export function checkIssuer(given: JwtIssuerConfig, publicUrl?: string): CheckedIssuer {
  const config = applyProvider(given);
  // `#` separates issuer and subject in a principal's id (AZ-17).
  if (config.issuer.includes("#")) refuse(config, "issuer must not contain #");
  const skew = config.clockSkewSeconds ?? 30;
  if (!(skew >= 0 && skew <= 30)) refuse(config, "clock_skew_seconds must be between 0 and 30");
  const age = config.maxAgeMinutes ?? 0;
  if (!(age >= 0)) refuse(config, "max_age_minutes must be 0 (any age) or more");
  const algorithms = checkAlgorithms(config);
  return {
    issuer: config.issuer,
    aliases: config.issuerAliases,
    audience: checkAudience(config, publicUrl),
    algorithms,
    keys: checkKeys(config, algorithms),
    introspection: config.introspection,
    allowPrivateNetwork: config.allowPrivateNetwork ?? false,
    clockSkewSeconds: skew,
    claims: { ...claimDefaults, ...definedOf(config.claims ?? {}) },
    requiredClaims: config.requiredClaims ?? [],
    groupsAreElsewhere: config.groupsAreElsewhere,
    maxAgeSeconds: age === 0 ? undefined : age * 60,
  };
}

function checkAudience(config: AppliedIssuer, publicUrl: string | undefined): AudienceRule {
  const audiences = config.audiences ?? [];
  if (config.audience !== "resource") {
    if (audiences.length === 0 || audiences.includes("")) {
      refuse(config, "audiences must name at least one audience, and none may be empty");
    }
    return { kind: "listed", values: new Set(audiences) };
  }
  if (audiences.length > 0) refuse(config, "audience: resource goes without audiences");
  // The Host header would otherwise say which audience is ours, and the caller writes it.
  if (publicUrl === undefined) return refuse(config, "audience: resource needs agents.public_url");
  return { kind: "resource", base: canonicalBase(publicUrl) };
}

function checkAlgorithms(config: AppliedIssuer): readonly JwtAlgorithm[] {
  const algorithms = config.algorithms.filter(isAlgorithm);
  const unknown = config.algorithms.find((one) => !isAlgorithm(one));
  const mayBeNone = config.introspection !== undefined;
  if (unknown !== undefined || (algorithms.length === 0 && !mayBeNone)) {
    const allowed = algorithmNames.join(", ");
    refuse(config, `algorithms must be a choice of ${allowed}; found ${unknown ?? "none"}`);
  }
  return algorithms;
}

function checkKeys(config: AppliedIssuer, algorithms: readonly JwtAlgorithm[]): KeyPlace {
  const { secret, jwksUrl, jwksFile } = config;
  const given = [secret, jwksUrl, jwksFile].filter((one) => one !== undefined).length;
  if (given > 1) refuse(config, "only one of jwks_url, jwks_file and secret may be set");
  if (algorithms.length === 0) {
    return given === 0 ? { kind: "none" } : refuse(config, "keys need algorithms");
  }
  if (secret !== undefined) {
    if (algorithms.some(isPublicKey)) refuse(config, "a secret goes with HS algorithms only");
    return { kind: "secret", secret: checkSecret(config, secret, algorithms) };
  }
  if (!algorithms.every(isPublicKey)) refuse(config, "HS algorithms need a secret, not a JWKS");
  if (jwksUrl !== undefined) {
    if (!URL.canParse(jwksUrl)) refuse(config, "jwks_url is not a URL");
    return { kind: "url", url: jwksUrl };
  }
  if (jwksFile !== undefined) return { kind: "file", path: jwksFile };
  if (!/^https?:\/\/[^?#]+$/.test(config.issuer)) {
    refuse(config, "is not a URL to find keys by: set jwks_url or jwks_file");
  }
  return { kind: "discovery", issuer: config.issuer };
}

function checkSecret(
  config: AppliedIssuer,
  secret: string,
  algorithms: readonly JwtAlgorithm[],
): Uint8Array {
  const bytes = new TextEncoder().encode(secret);
  for (const algorithm of algorithms) {
    if (isPublicKey(algorithm)) continue;
    const least = secretBytesMin[algorithm];
    if (bytes.length < least) refuse(config, `the secret for ${algorithm} needs ${least} bytes`);
  }
  // Long is not enough: a padded word passes any length check and falls to a dictionary.
  if (new Set(bytes).size < 10) refuse(config, "the secret repeats too few different characters");
  return bytes;
}

function refuse(config: AppliedIssuer, what: string): never {
  throw new GatewayError("invalid-params", `JWT issuer "${config.issuer}": ${what}`);
}
