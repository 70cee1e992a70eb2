/**
 * Tells agents where to get a token: the RFC 9728 document of one endpoint. Pure; the agents' edge serves it and
 * points to it.
 */
export interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly bearer_methods_supported: readonly ["header"];
  readonly scopes_supported?: readonly string[];
}

export interface ResourceMetadataInput {
  /** The endpoint's URL exactly as clients use it: each endpoint is its own resource. */
  readonly resource: string;
  /** Issuers whose tokens are accepted. */
  readonly issuers: readonly string[];
  readonly scopes?: readonly string[];
}

/** The document, or undefined where there is no issuer to name: client tokens are not had by OAuth. */
export function buildResourceMetadata(input: ResourceMetadataInput): ResourceMetadata | undefined {
  if (input.issuers.length === 0) return undefined;
  const scopes = input.scopes ?? [];
  return {
    resource: input.resource,
    authorization_servers: input.issuers,
    bearer_methods_supported: ["header"],
    ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
  };
}

/**
 * Where clients of the revision 2025-03-26, which know no resource metadata and ask our own origin, find the
 * authorization server's: the first issuer that is a URL.
 */
export function authorizationServerMetadataUrl(issuers: readonly string[]): string | undefined {
  const issuer = issuers.find((one) => /^https?:\/\//.test(one));
  return issuer && `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
}
