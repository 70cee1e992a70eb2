/**
 * Where agents learn how to get a token: the RFC 9728 document of each endpoint, and for clients of 2025-03-26, which
 * know none and ask our own origin, the way to the authorization server's metadata.
 */
import { documentResponse, emptyResponse } from "./http-response.ts";

export interface OAuthDocumentsDeps {
  /** The RFC 9728 document for an endpoint's URL and scope, where authorization servers are configured. */
  readonly resourceMetadata?: (resource: string, scope: string) => object | undefined;
  /** Metadata of the authorization server. */
  readonly authorizationServerUrl?: string | undefined;
}

/** Each answers undefined where there is nothing to tell. */
export interface OAuthDocuments {
  resource(resource: string, scope: string): Response | undefined;
  authorizationServer(): Response | undefined;
}

export function createOAuthDocuments(deps: OAuthDocumentsDeps): OAuthDocuments {
  return {
    resource(resource, scope) {
      const document = deps.resourceMetadata?.(resource, scope);
      return document && documentResponse(document);
    },
    authorizationServer() {
      const location = deps.authorizationServerUrl;
      return location === undefined ? undefined : emptyResponse(307, { location });
    },
  };
}

/** The public URL as the endpoints' URLs begin: in canonical form, since tokens are held against them. */
export function publicBaseOf(publicUrl: string | undefined): string | undefined {
  return publicUrl && new URL(publicUrl).href.replace(/\/+$/, "");
}
