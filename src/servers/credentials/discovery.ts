/**
 * Which authorization server gives tokens for a server, and where its token endpoint is (mcp-protocol.md 3.2): the
 * server's own metadata (RFC 9728), then the authorization server's (RFC 8414, OpenID Connect discovery). Whatever does
 * not name itself exactly as it was asked for is refused: a mix-up must never be shown a secret (UP-11).
 */
import { checkedUrl } from "../egress.ts";
import type { EgressFetch } from "../egress-fetch.ts";
import type { OAuthClient } from "../spec.ts";
import { refusedBy } from "./refusal.ts";

export interface TokenPlace {
  readonly tokenUrl: string;
  /** Undefined where the operator named the token endpoint itself. */
  readonly issuer: string | undefined;
  /** `token_endpoint_auth_methods_supported`. */
  readonly methods: readonly string[];
  /** `token_endpoint_auth_signing_alg_values_supported`; undefined = it does not say. */
  readonly algorithms: readonly string[] | undefined;
  readonly resource: string;
  /** What the server says one may need; undefined where it says nothing. */
  readonly scopes: readonly string[] | undefined;
  /** Undefined where the operator named the token endpoint itself. */
  readonly front?: AuthorizationFront | undefined;
}

/** What an authorization server says of the part of it that users' browsers see. */
export interface AuthorizationFront {
  readonly authorizationUrl: string | undefined;
  /** `code_challenge_methods_supported`. */
  readonly challengeMethods: readonly string[];
  /** It promises to name itself in its answers (RFC 9207). */
  readonly namesItself: boolean;
  /** RFC 7009. */
  readonly revocationUrl: string | undefined;
}

export interface DiscoveryOptions {
  readonly server: string;
  readonly serverUrl: string;
  readonly client: OAuthClient;
  readonly allowPrivateNetwork: boolean;
  readonly fetch: EgressFetch;
}

/** Looks everything up. `metadataUrl` is where the server's challenge said its metadata are. */
export async function findTokenPlace(
  options: DiscoveryOptions,
  metadataUrl: string | undefined,
): Promise<TokenPlace> {
  const { client, server } = options;
  if (client.tokenUrl !== undefined) {
    return {
      tokenUrl: client.tokenUrl,
      issuer: undefined,
      methods: [],
      algorithms: undefined,
      resource: client.resource ?? resourceOf(options.serverUrl),
      scopes: undefined,
    };
  }
  const metadata = await findResource(options, metadataUrl);
  const named = metadata?.issuers ?? [new URL(options.serverUrl).origin];
  const issuer = client.issuer ?? named[0];
  const isNamed = metadata === undefined || named.some((one) => one === issuer);
  if (issuer === undefined || !isNamed) throw refusedBy(server, "oauth-issuer-not-named");
  return {
    ...(await findIssuer(options, issuer)),
    resource: client.resource ?? metadata?.resource ?? resourceOf(options.serverUrl),
    scopes: metadata?.scopes,
  };
}

interface Resource {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: readonly string[] | undefined;
}

/** By the challenge's address, else under the path, else at the root; undefined where the server has none. */
async function findResource(
  options: DiscoveryOptions,
  metadataUrl: string | undefined,
): Promise<Resource | undefined> {
  const { origin, pathname } = new URL(options.serverUrl);
  const wellKnown = `${origin}/.well-known/oauth-protected-resource`;
  const path = pathname.replace(/\/$/, "");
  const urls =
    metadataUrl === undefined
      ? [...(path === "" ? [] : [wellKnown + path]), wellKnown]
      : [metadataUrl];
  for (const url of urls) {
    const document = await fetchDocument(options, url);
    if (document !== undefined) return readResource(options, document);
  }
  return undefined;
}

function readResource(
  { server, serverUrl, client }: DiscoveryOptions,
  document: Readonly<Record<string, unknown>>,
): Resource {
  const { resource } = document;
  if (typeof resource !== "string" || !isOwnResource(resource, serverUrl)) {
    throw refusedBy(server, "oauth-resource-mismatch");
  }
  const issuers = textsOf(document.authorization_servers);
  if (issuers === undefined || issuers.length === 0) {
    if (client.issuer === undefined) throw refusedBy(server, "oauth-no-authorization-server");
    return { resource, issuers: [client.issuer], scopes: textsOf(document.scopes_supported) };
  }
  return { resource, issuers, scopes: textsOf(document.scopes_supported) };
}

/** The server itself, or what it is a part of: the same origin, and a path that its own begins with. */
function isOwnResource(resource: string, serverUrl: string): boolean {
  const named = URL.parse(resource);
  const own = new URL(serverUrl);
  if (named === null || named.origin !== own.origin || named.hash !== "") return false;
  const prefix = named.pathname.replace(/\/$/, "");
  return own.pathname === prefix || own.pathname.startsWith(`${prefix}/`);
}

async function findIssuer(
  options: DiscoveryOptions,
  issuer: string,
): Promise<Pick<TokenPlace, "tokenUrl" | "issuer" | "methods" | "algorithms" | "front">> {
  const { server } = options;
  for (const url of metadataUrls(issuer)) {
    const document = await fetchDocument(options, url);
    if (document === undefined) continue;
    // Byte for byte: whoever normalises can be made to mix two up.
    if (document.issuer !== issuer) throw refusedBy(server, "oauth-issuer-mismatch");
    const tokenUrl = document.token_endpoint;
    if (typeof tokenUrl !== "string") throw refusedBy(server, "oauth-no-token-endpoint");
    checkedUrl(tokenUrl, "http", options.allowPrivateNetwork);
    const methods = textsOf(document.token_endpoint_auth_methods_supported);
    const algorithms = textsOf(document.token_endpoint_auth_signing_alg_values_supported);
    const front = readFront(document);
    return { tokenUrl, issuer, methods: methods ?? ["client_secret_basic"], algorithms, front };
  }
  throw refusedBy(server, "oauth-no-metadata");
}

function readFront(document: Readonly<Record<string, unknown>>): AuthorizationFront {
  const urlOf = (value: unknown) => (typeof value === "string" ? value : undefined);
  return {
    authorizationUrl: urlOf(document.authorization_endpoint),
    challengeMethods: textsOf(document.code_challenge_methods_supported) ?? [],
    namesItself: document.authorization_response_iss_parameter_supported === true,
    revocationUrl: urlOf(document.revocation_endpoint),
  };
}

/** The places of an issuer's metadata, in the order of the specification. */
export function metadataUrls(issuer: string): readonly string[] {
  const url = URL.parse(issuer);
  if (url === null || url.search !== "" || url.hash !== "") return [];
  const path = url.pathname.replace(/\/$/, "");
  const known = `${url.origin}/.well-known/`;
  if (path === "") return [`${known}oauth-authorization-server`, `${known}openid-configuration`];
  return [
    `${known}oauth-authorization-server${path}`,
    `${known}openid-configuration${path}`,
    `${url.origin}${path}/.well-known/openid-configuration`,
  ];
}

/** Undefined where there is none; rejects where the place cannot be asked. */
async function fetchDocument(
  { server, fetch }: DiscoveryOptions,
  url: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const { status, text } = await fetch(url, { headers: { accept: "application/json" } });
  if (status >= 400 && status < 500) return undefined;
  if (status !== 200) throw refusedBy(server, `oauth-metadata-status-${status}`);
  const document = readJson(text);
  if (document === undefined) throw refusedBy(server, "oauth-metadata-invalid");
  return document;
}

export function readJson(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const read: unknown = JSON.parse(text);
    const isObject = typeof read === "object" && read !== null && !Array.isArray(read);
    return isObject ? (read as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const textsMax = 256;

function textsOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((one) => typeof one === "string").slice(0, textsMax);
}

/** RFC 8707: the server's URL without a fragment, and without the slash a bare origin is written with. */
function resourceOf(serverUrl: string): string {
  const url = new URL(serverUrl);
  return url.pathname === "/" && url.search === "" ? url.origin : url.origin + url.pathname;
}
