/**
 * Whether an operator revoked a token of another issuer, by the token's own id or for all of a subject's tokens issued
 * until some moment. The index is built once for each state of the operators; asking it costs two look-ups. Pure.
 */
import type { JwtClaims } from "./jwt-claims.ts";

/** Keys made by `revocationKey`; the value is the last `iat` revoked, in milliseconds: Infinity for one token. */
export type RevocationIndex = ReadonlyMap<string, number>;

/** `#` is in no issuer (AZ-17), so issuer and name cannot be divided in two ways. */
export function revocationKey(issuer: string, kind: "token" | "subject", name: string): string {
  return `${kind} ${issuer}#${name}`;
}

export function isRevoked(index: RevocationIndex | undefined, claims: JwtClaims): boolean {
  if (index === undefined || index.size === 0) return false;
  const { issuer, subject, tokenId, issuedAtMs } = claims;
  if (tokenId !== undefined && index.has(revocationKey(issuer, "token", tokenId))) return true;
  const untilMs = index.get(revocationKey(issuer, "subject", subject));
  // A token that does not say when it was issued may be an old one.
  return untilMs !== undefined && (issuedAtMs === undefined || issuedAtMs <= untilMs);
}
