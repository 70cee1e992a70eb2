/**
 * The shape of what we know about one identity provider: how its issuers look, where its keys are, which claims hold
 * what. Data alone; `apply.ts` lays it under an operator's configuration, and nothing else asks who the provider is.
 */
import type { PublicKeyAlgorithm } from "../jwt-algorithms.ts";

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
  /** Default: no workspace. */
  readonly workspace?: string | undefined;
  /** The first that is there counts. Default `scope`, then `scp`; each a list, or names with spaces between. */
  readonly scopes?: readonly string[] | undefined;
  /** The first that is there counts. Default `azp`, then `client_id`. */
  readonly clientId?: readonly string[] | undefined;
  /** The first that is there counts. Default `aud`. */
  readonly audience?: readonly string[] | undefined;
  /** Defaults `exp` and `iat`. */
  readonly expiry?: string | undefined;
  readonly issuedAt?: string | undefined;
}

/** A claim that must be there with one of these values, or hold one of them where it is a list. */
export interface RequiredClaim {
  readonly claim: string;
  readonly values: readonly string[];
}

export interface Provider {
  /** What an issuer of this provider looks like; its groups are named by `keysUrl`. */
  readonly issuerForm: RegExp;
  readonly issuerExample: string;
  /** The JWKS URL, `$1` and so on standing for groups of the form. */
  readonly keysUrl: string;
  readonly algorithms: readonly PublicKeyAlgorithm[];
  /** Other spellings of `iss` that mean the same issuer. */
  readonly issuerAliases?: readonly string[];
  readonly claims: ClaimPaths;
  readonly requiredClaims?: readonly RequiredClaim[];
  /** A claim the operator must restrict, and why: without it the issuer vouches for strangers. */
  readonly mustRestrict?: { readonly claim: string; readonly because: string };
  /** Whether the payload says that the groups are to be asked for elsewhere, being too many for the token. */
  readonly groupsAreElsewhere?: (payload: Readonly<Record<string, unknown>>) => boolean;
}
