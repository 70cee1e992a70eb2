/**
 * Whether an operator revoked a token of another issuer, by the token's own id or for all of a subject's tokens issued
 * until some moment. Asked at each use of a token: three look-ups where the issuer has any. Pure.
 */
import type { JwtClaims } from "./jwt-claims.ts";

/** What is revoked of one issuer's tokens. */
export interface RevokedTokens {
  /** By `jti`. */
  readonly tokenIds: ReadonlySet<string>;
  /** By subject: the last `iat` revoked, in milliseconds. */
  readonly subjects: ReadonlyMap<string, number>;
}

/** By issuer. */
export type Revocations = ReadonlyMap<string, RevokedTokens>;

export function isRevoked(revocations: Revocations | undefined, claims: JwtClaims): boolean {
  const { issuer, subject, tokenId, issuedAtMs } = claims;
  const revoked = revocations?.get(issuer);
  if (revoked === undefined) return false;
  if (tokenId !== undefined && revoked.tokenIds.has(tokenId)) return true;
  const untilMs = revoked.subjects.get(subject);
  // A token that does not say when it was issued may be an old one.
  return untilMs !== undefined && (issuedAtMs === undefined || issuedAtMs <= untilMs);
}
