/**
 * Revocations of other issuers' tokens between protobuf and resources.
 */
import { hash } from "node:crypto";
import type { Revocation, RevokeTokensRequest } from "../../gen/types.ts";
import type { RevocationResource } from "../../state/resources.ts";
import { revocationShape } from "../../state/revocation-shape.ts";
import type { StoredResource } from "../../storage/store.ts";
import { toMetadata } from "./common.ts";

/** One for each token and each subject. What was revoked before is revoked anew under the same id. */
export function toRevocationResources(
  request: RevokeTokensRequest,
  nowMs: number,
): readonly RevocationResource[] {
  const { issuer, expires_at_ms: expiresAtMs } = request;
  const common = { issuer, reason: request.reason, expiresAtMs };
  const one = (kind: "token" | "subject", name: string) => ({
    ...common,
    id: hash("sha256", JSON.stringify([kind, issuer, name]), "hex").slice(0, 32),
    tokenId: kind === "token" ? name : undefined,
    subject: kind === "subject" ? name : undefined,
    issuedUntilMs: kind === "subject" ? (request.issued_until_ms ?? nowMs) : undefined,
  });
  return [
    ...request.token_ids.map((name) => one("token", name)),
    ...request.subjects.map((name) => one("subject", name)),
  ];
}

export function fromRevocation(stored: StoredResource): Revocation {
  const revocation = revocationShape(stored.body, "revocation");
  return {
    id: revocation.id,
    issuer: revocation.issuer,
    token_id: revocation.tokenId ?? "",
    subject: revocation.subject ?? "",
    issued_until_ms: revocation.issuedUntilMs,
    expires_at_ms: revocation.expiresAtMs,
    reason: revocation.reason,
    metadata: toMetadata(stored),
  };
}
