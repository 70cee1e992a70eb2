/**
 * Revocations as the authenticator asks for them: by issuer, then by token or subject. Pure; called by `build.ts`.
 */
import type { RevocationResource } from "./resources.ts";
import type { RevokedTokens } from "./snapshot.ts";

export function indexRevocations(
  revocations: Iterable<RevocationResource>,
): ReadonlyMap<string, RevokedTokens> {
  const index = new Map<string, { tokenIds: Set<string>; subjects: Map<string, number> }>();
  for (const { issuer, tokenId, subject, issuedUntilMs } of revocations) {
    const own = index.get(issuer) ?? { tokenIds: new Set(), subjects: new Map() };
    index.set(issuer, own);
    if (tokenId !== undefined) own.tokenIds.add(tokenId);
    if (subject !== undefined) own.subjects.set(subject, issuedUntilMs ?? 0);
  }
  return index;
}
