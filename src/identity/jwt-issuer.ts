/**
 * What an operator says about one token issuer, and the check that it makes sense. `jwt.ts` verifies against the
 * checked form; nothing a token says can change which algorithms or keys are used.
 */
import { GatewayError } from "../errors/fault.ts";

/** Minimum secret length in bytes for each shared-secret algorithm (the size of its hash, RFC 7518 3.2). */
const secretBytesMin = { HS256: 32, HS384: 48, HS512: 64 } as const;
/** JWK key type behind each public-key algorithm. */
const keyTypes = {
  RS256: "RSA",
  RS384: "RSA",
  RS512: "RSA",
  PS256: "RSA",
  PS384: "RSA",
  PS512: "RSA",
  ES256: "EC",
  ES384: "EC",
  ES512: "EC",
  EdDSA: "OKP",
  Ed25519: "OKP",
} as const;

export type SharedSecretAlgorithm = keyof typeof secretBytesMin;
export type PublicKeyAlgorithm = keyof typeof keyTypes;
export type JwtAlgorithm = SharedSecretAlgorithm | PublicKeyAlgorithm;

/** Where claims are found; dots reach into nested objects (`realm_access.roles`). */
export interface ClaimPaths {
  /** Default `sub`. */
  readonly subject?: string | undefined;
  /** Default `roles`. */
  readonly roles?: string | undefined;
  /** Default `groups`. */
  readonly groups?: string | undefined;
  /** Default: no tenant. */
  readonly tenant?: string | undefined;
}

export interface JwtIssuerConfig {
  /** Compared with `iss` exactly. */
  readonly issuer: string;
  /** `aud` must hold one of these, exactly. */
  readonly audiences: readonly string[];
  /** The only algorithms accepted from this issuer. */
  readonly algorithms: readonly string[];
  /** Exactly one of the three says where the keys are. */
  readonly jwksUrl?: string | undefined;
  readonly jwksFile?: string | undefined;
  readonly secret?: string | undefined;
  /** Tolerance for `exp`, `nbf` and `iat`; at most 30, which is the default. */
  readonly clockSkewSeconds?: number | undefined;
  readonly claims?: ClaimPaths | undefined;
  /** Refuse tokens issued longer ago than this, or without `iat`. */
  readonly maxAgeMinutes?: number | undefined;
}

export type KeyPlace =
  | { readonly kind: "secret"; readonly secret: Uint8Array }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "file"; readonly path: string };

export interface CheckedIssuer {
  readonly issuer: string;
  readonly audiences: ReadonlySet<string>;
  readonly algorithms: readonly JwtAlgorithm[];
  readonly keys: KeyPlace;
  readonly clockSkewSeconds: number;
  readonly claims: ClaimPaths;
  readonly maxAgeSeconds: number | undefined;
}

/** Key type a JWK must have to be used with the algorithm; undefined for the shared-secret ones. */
export function keyTypeOf(algorithm: JwtAlgorithm): string | undefined {
  return isPublicKey(algorithm) ? keyTypes[algorithm] : undefined;
}

/** The issuer ready for use. Throws invalid-params where it is incomplete, contradictory or weak. */
export function checkIssuer(config: JwtIssuerConfig): CheckedIssuer {
  // `#` parts issuer from subject in a principal's id.
  if (config.issuer === "" || config.issuer.includes("#")) {
    refuse(config, "issuer must not be empty and must not hold a #");
  }
  if (config.audiences.length === 0 || config.audiences.includes("")) {
    refuse(config, "audiences must name at least one audience, and none may be empty");
  }
  const skew = config.clockSkewSeconds ?? 30;
  if (!(skew >= 0 && skew <= 30)) refuse(config, "clockSkewSeconds must be between 0 and 30");
  if (config.maxAgeMinutes !== undefined && !(config.maxAgeMinutes > 0)) {
    refuse(config, "maxAgeMinutes must be more than 0, or left out");
  }
  const algorithms = checkAlgorithms(config);
  return {
    issuer: config.issuer,
    audiences: new Set(config.audiences),
    algorithms,
    keys: checkKeys(config, algorithms),
    clockSkewSeconds: skew,
    claims: config.claims ?? {},
    maxAgeSeconds: config.maxAgeMinutes === undefined ? undefined : config.maxAgeMinutes * 60,
  };
}

function checkAlgorithms(config: JwtIssuerConfig): readonly JwtAlgorithm[] {
  const algorithms = config.algorithms.filter(isAlgorithm);
  const unknown = config.algorithms.find((one) => !isAlgorithm(one));
  if (unknown !== undefined || algorithms.length === 0) {
    const allowed = [...Object.keys(secretBytesMin), ...Object.keys(keyTypes)].join(", ");
    refuse(config, `algorithms must be a choice of ${allowed}; found ${unknown ?? "none"}`);
  }
  return algorithms;
}

function checkKeys(config: JwtIssuerConfig, algorithms: readonly JwtAlgorithm[]): KeyPlace {
  const { secret, jwksUrl, jwksFile } = config;
  if ([secret, jwksUrl, jwksFile].filter((one) => one !== undefined).length !== 1) {
    refuse(config, "exactly one of jwksUrl, jwksFile and secret must be set");
  }
  if (secret !== undefined) {
    if (algorithms.some(isPublicKey)) refuse(config, "a secret goes with HS algorithms only");
    return { kind: "secret", secret: checkSecret(config, secret, algorithms) };
  }
  if (!algorithms.every(isPublicKey)) refuse(config, "HS algorithms need a secret, not a JWKS");
  if (jwksUrl !== undefined) {
    if (!URL.canParse(jwksUrl)) refuse(config, "jwksUrl is not a URL");
    return { kind: "url", url: jwksUrl };
  }
  return { kind: "file", path: jwksFile ?? "" };
}

function checkSecret(
  config: JwtIssuerConfig,
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

function isAlgorithm(name: string): name is JwtAlgorithm {
  return Object.hasOwn(secretBytesMin, name) || Object.hasOwn(keyTypes, name);
}

function isPublicKey(algorithm: JwtAlgorithm): algorithm is PublicKeyAlgorithm {
  return Object.hasOwn(keyTypes, algorithm);
}

function refuse(config: JwtIssuerConfig, what: string): never {
  throw new GatewayError("invalid-params", `JWT issuer "${config.issuer}": ${what}`);
}
