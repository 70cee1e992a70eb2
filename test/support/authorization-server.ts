/**
 * A real authorization server on loopback (the package `oidc-provider`): authorization code with PKCE, resource
 * indicators, refresh, introspection, revocation, rotation of keys. Logging in and consenting happen by themselves: the
 * only user is the one the test names.
 */
import { hash } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWK } from "jose";
import { Provider } from "oidc-provider";

export interface AuthorizationServer extends AsyncDisposable {
  readonly issuer: string;
  readonly client: { readonly id: string; readonly redirectUri: string };
  /** The gateway's own client, for introspection. */
  readonly introspector: { readonly id: string; readonly secret: string };
  /** Signs with another key from now on; the old one is no longer published. */
  rotateKeys(): Promise<void>;
  /** What a browser does at this URL: to the login, to the consent, and back with a code. */
  browse(url: URL, user?: string): Promise<URLSearchParams>;
  /** A code for the user's consent, by the agent's client. */
  authorize(asked: {
    readonly resource: string;
    readonly scope: string;
    readonly user?: string;
    readonly client?: string | undefined;
  }): Promise<string>;
  /** The public keys. */
  keys(): Promise<JSONWebKeySet>;
  /** The access token for a code that `authorize` gave. */
  exchange(code: string, resource: string, client?: string): Promise<string>;
  /** RFC 7009, by the agent's client. */
  revoke(token: string): Promise<void>;
}

export interface AuthorizationServerOptions {
  readonly user: string;
  /** `jwt` tokens can be checked by anybody, `opaque` ones are asked about. */
  readonly format: "jwt" | "opaque";
  readonly scopes: readonly string[];
  /** More clients, as oidc-provider describes them. */
  readonly clients?: readonly object[];
  /** Every refresh gives a new refresh token, and the old one counts as stolen. */
  readonly rotates?: boolean;
  /** Gives no refresh tokens at all. */
  readonly refreshes?: boolean;
  readonly accessSeconds?: number;
}

/** A browser that brings it is that user's; one that brings `deny` says no. */
export const userCookie = "test-user";

const client = { id: "agent", redirectUri: "http://127.0.0.1:1/callback" };
const codeVerifier = "a code verifier's forty-three characters at least".replaceAll(/[ ']/g, "-");
const codeChallenge = hash("sha256", codeVerifier, "base64url");
const introspector = { id: "gateway", secret: "secret-of-the-gateway-at-its-issuer-0123" };

export async function startAuthorizationServer(
  options: AuthorizationServerOptions,
): Promise<AuthorizationServer> {
  let provider: Provider | undefined;
  const server = createServer((request, response) => {
    if (provider === undefined) response.writeHead(503).end();
    else void serve(provider, options, request, response);
  });
  const issuer = `http://127.0.0.1:${await listen(server)}`;
  const rotateKeys = async () => {
    // What was issued before is kept: the package's own memory belongs to all its instances.
    provider = new Provider(issuer, configurationOf(options, await createKey()));
  };
  await rotateKeys();
  return {
    issuer,
    client,
    introspector,
    rotateKeys,
    browse,
    keys: async () => (await (await fetch(`${issuer}/jwks`)).json()) as JSONWebKeySet,
    async authorize({ resource, scope, user, client: client_id = client.id }) {
      const url = new URL(`${issuer}/auth`);
      const { redirectUri: redirect_uri } = client;
      url.search = new URLSearchParams({
        ...{ client_id, redirect_uri, response_type: "code", scope, resource },
        ...{ code_challenge: codeChallenge, code_challenge_method: "S256" },
      }).toString();
      return (await browse(url, user)).get("code") ?? "";
    },
    async exchange(code, resource, client_id = client.id) {
      const body = new URLSearchParams({
        ...{ grant_type: "authorization_code", code, resource, code_verifier: codeVerifier },
        ...{ client_id, redirect_uri: client.redirectUri },
      });
      const answer = await fetch(`${issuer}/token`, { method: "POST", body });
      const { access_token: token } = (await answer.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`no token: ${answer.status}`);
      return token;
    },
    async revoke(token) {
      const body = new URLSearchParams({ token, client_id: client.id });
      const answer = await fetch(`${issuer}/token/revocation`, { method: "POST", body });
      if (answer.status !== 200) throw new Error(`not revoked: ${answer.status}`);
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function configurationOf(options: AuthorizationServerOptions, key: JWK): object {
  const { format, scopes } = options;
  return {
    jwks: { keys: [key] },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clients: [
      {
        client_id: client.id,
        application_type: "native",
        redirect_uris: [client.redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
      },
      {
        client_id: introspector.id,
        client_secret: introspector.secret,
        redirect_uris: [],
        grant_types: [],
        response_types: [],
      },
      ...(options.clients ?? []),
    ],
    ...(options.rotates !== undefined && { rotateRefreshToken: options.rotates }),
    cookies: { keys: ["a key of the tests"] },
    pkce: { required: () => true },
    scopes: ["openid", "offline_access", ...scopes],
    issueRefreshToken: async () => options.refreshes !== false,
    findAccount: async (_: unknown, accountId: string) => ({
      accountId,
      claims: async () => ({ sub: accountId }),
    }),
    interactions: { url: (_: unknown, one: { uid: string }) => `/interaction/${one.uid}` },
    extraTokenClaims: async () => ({ roles: ["adder"] }),
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => undefined,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (_: unknown, resource: string) => ({
          scope: scopes.join(" "),
          audience: resource,
          accessTokenFormat: format,
          accessTokenTTL: options.accessSeconds ?? 600,
          ...(format === "jwt" ? { jwt: { sign: { alg: "ES256" } } } : {}),
        }),
      },
    },
  };
}

async function serve(
  provider: Provider,
  options: AuthorizationServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.url?.startsWith("/interaction/") !== true) {
    await provider.callback()(request, response);
    return;
  }
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  const user = new RegExp(`${userCookie}=([a-z]+)`).exec(request.headers.cookie ?? "")?.[1];
  if (user === "deny") {
    await provider.interactionFinished(request, response, { error: "access_denied" });
    return;
  }
  if (prompt.name === "login") {
    const result = { login: { accountId: user ?? options.user } };
    await provider.interactionFinished(request, response, result);
    return;
  }
  const grant = new provider.Grant({
    accountId: session?.accountId ?? options.user,
    clientId: params.client_id ?? "",
  });
  grant.addOIDCScope(params.scope ?? "");
  if (params.resource !== undefined) grant.addResourceScope(params.resource, params.scope ?? "");
  const consent = { grantId: await grant.save() };
  await provider.interactionFinished(request, response, { consent });
}

async function createKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: crypto.randomUUID(), use: "sig", alg: "ES256" };
}

async function browse(start: URL, user?: string): Promise<URLSearchParams> {
  const cookies = new Map<string, string>(user === undefined ? [] : [[userCookie, user]]);
  let url = start;
  for (let step = 0; step < 12; step += 1) {
    if (url.href.startsWith(client.redirectUri)) return url.searchParams;
    const { location, set } = await visit(url, cookies);
    for (const line of set) {
      const [pair = ""] = line.split(";");
      const at = pair.indexOf("=");
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    if (location === undefined) throw new Error(`no way on from ${url.pathname}`);
    url = new URL(location, url);
  }
  throw new Error("the browser was sent in circles");
}

function visit(url: URL, cookies: ReadonlyMap<string, string>) {
  return new Promise<{ location: string | undefined; set: readonly string[] }>(
    (resolve, reject) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const request = openRequest(url, { headers: { cookie } }, (response) => {
        response.resume();
        const { location, "set-cookie": set = [] } = response.headers;
        resolve({ location, set });
      });
      request.on("error", reject);
      request.end();
    },
  );
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
