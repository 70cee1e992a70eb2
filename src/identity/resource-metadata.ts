/**
 * Tells agents where to get a token: the RFC 9728 document of one endpoint, where to find it, and the
 * `WWW-Authenticate` header that points there. Pure; used by the agents' edge.
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

const wellKnown = "/.well-known/oauth-protected-resource";

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

/** Where the document of an endpoint lies: the well-known path goes between origin and path (RFC 9728, 3.1). */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${wellKnown}${pathname === "/" ? "" : pathname}`;
}

/** The `WWW-Authenticate` header of a 401 or 403; `challenge` is the fault's own. */
export function wwwAuthenticate(options: {
  readonly metadataUrl: string | undefined;
  readonly challenge: string | undefined;
}): string {
  const { metadataUrl, challenge } = options;
  const parameters: string[] = [];
  if (challenge !== undefined && challenge !== "") parameters.push(challenge);
  if (metadataUrl !== undefined) parameters.push(`resource_metadata="${quote(metadataUrl)}"`);
  return parameters.length === 0 ? "Bearer" : `Bearer ${parameters.join(", ")}`;
}

/** Keeps a value inside its quotes and its line. */
function quote(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, "").replace(/["\\]/g, "\\$&");
}
