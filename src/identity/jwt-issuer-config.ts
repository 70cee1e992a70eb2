/**
 * What an operator says about one token issuer. `providers/apply.ts` lays under it what we know about its provider, and
 * `jwt-issuer.ts` checks that it makes sense.
 */
import type { IntrospectionConfig } from "./introspection-client.ts";
import type { ClaimPaths, RequiredClaim } from "./providers/provider.ts";

export interface JwtIssuerConfig {
  /** Compared with `iss` exactly. May be left out where `keycloakUrl` and `realm` say it. */
  readonly issuer?: string | undefined;
  /** A name of `providers/table.ts`: its quirks are laid under what else is said here. */
  readonly provider?: string | undefined;
  readonly keycloakUrl?: string | undefined;
  readonly realm?: string | undefined;
  /** `listed` (the default): `aud` must hold one of `audiences`, exactly. `resource`: the endpoint's own URI. */
  readonly audience?: "listed" | "resource" | undefined;
  readonly audiences?: readonly string[] | undefined;
  /** The only algorithms accepted from this issuer. */
  readonly algorithms?: readonly string[] | undefined;
  /** At most one of the three says where the keys are; without any they are found by the issuer's own metadata. */
  readonly jwksUrl?: string | undefined;
  readonly jwksFile?: string | undefined;
  readonly secret?: string | undefined;
  /** The issuer is asked about its tokens, besides checking them here or (without `algorithms`) instead of it. */
  readonly introspection?: IntrospectionConfig | undefined;
  /** Whether the issuer may be in a private network or on plain http. */
  readonly allowPrivateNetwork?: boolean | undefined;
  /** Tolerance for `exp`, `nbf` and `iat`; at most 30, which is the default. */
  readonly clockSkewSeconds?: number | undefined;
  readonly claims?: ClaimPaths | undefined;
  readonly requiredClaims?: readonly RequiredClaim[] | undefined;
  /** What becomes of a token whose groups are too many for it. Default `refuse`: a deny by group could be missed. */
  readonly groupsOverage?: "refuse" | "ignore" | undefined;
  /** Refuse tokens issued longer ago than this, or without `iat`; 0 or left out: any age. */
  readonly maxAgeMinutes?: number | undefined;
}
