/**
 * What an MCP server that wants tokens consists of: a real authorization server (oidc-provider) on a loopback port, and
 * a guard in front of any fake server that asks for its tokens as the specification says. Asserts nothing.
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { createLocalJWKSet, exportJWK, type JSONWebKeySet, jwtVerify } from "jose";
import { Provider } from "oidc-provider";

const signing = generateKeyPairSync("rsa", { modulusLength: 2048 });

export const clientSecret = "the gateway's secret & its 100% own";

export interface TokenRequestSeen {
  readonly params: URLSearchParams;
  readonly authorization: string | undefined;
}

export interface Authority extends AsyncDisposable {
  readonly issuer: string;
  /** PKCS #8 of the client `gateway-key`. */
  readonly privateKey: string;
  readonly tokenRequests: TokenRequestSeen[];
  readonly keys: () => Promise<JSONWebKeySet>;
  /** While set, the token endpoint answers with this status. */
  broken: number | undefined;
}

interface Context {
  readonly oidc: {
    readonly params: Readonly<Record<string, string>>;
    readonly client: object;
  };
  body: object;
}

/** Clients: `gateway` (header), `gateway-post` (body), `gateway-key` (ES256 assertions). Scopes: read, write. */
export async function startAuthority({ tokenSeconds = 3_600 } = {}): Promise<Authority> {
  const server = createServer();
  await listen(server);
  const issuer = originOf(server);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
  const common = {
    grant_types: ["client_credentials", exchange],
    redirect_uris: [],
    response_types: [],
  };
  const secret = { ...common, client_secret: clientSecret };
  const resourceServer = (resource: string) => ({
    scope: "read write",
    audience: resource,
    accessTokenFormat: "jwt",
    accessTokenTTL: tokenSeconds,
    jwt: { sign: { alg: "RS256" } },
  });
  const provider = new Provider(issuer, {
    clients: [
      { ...secret, client_id: "gateway" },
      { ...secret, client_id: "gateway-post", token_endpoint_auth_method: "client_secret_post" },
      {
        ...common,
        client_id: "gateway-key",
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256" }] },
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(signing.privateKey)), kid: "as-1", alg: "RS256" }] },
    scopes: ["read", "write"],
    extraTokenClaims: (_context: unknown, token: { extra?: object }) => token.extra,
    ttl: { ClientCredentials: tokenSeconds },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => resourceServer(resource),
      },
    },
  });
  provider.registerGrantType(exchange, exchangeGrant(provider, resourceServer), [
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "audience",
  ]);
  const tokenRequests: TokenRequestSeen[] = [];
  const authority: Authority = {
    issuer,
    privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    tokenRequests,
    keys: async () => (await (await fetch(`${issuer}/jwks`)).json()) as JSONWebKeySet,
    broken: undefined,
    [Symbol.asyncDispose]: () => stop(server),
  };
  const answer = provider.callback();
  server.on("request", (request, response) => {
    if (request.method !== "POST") return answer(request, response);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const params = new URLSearchParams(Buffer.concat(chunks).toString());
      tokenRequests.push({ params, authorization: request.headers.authorization });
      if (authority.broken !== undefined) return response.writeHead(authority.broken).end("down");
      answer(Object.assign(request, { body: Object.fromEntries(params) }), response);
    });
  });
  return authority;
}

/** RFC 8693 as far as the tests need it: the subject is who the agent's token says, unverified. */
function exchangeGrant(
  { ClientCredentials, ResourceServer }: Provider,
  resourceServer: (resource: string) => object,
) {
  return async (context: Context) => {
    const { params, client } = context.oidc;
    const [, payload = ""] = (params.subject_token ?? "").split(".");
    const { sub } = JSON.parse(Buffer.from(payload, "base64url").toString());
    const token = new ClientCredentials({ client, extra: { act_for: sub } });
    const resource = params.resource ?? "";
    token.resourceServer = new ResourceServer(resource, resourceServer(resource));
    token.scope = params.scope ?? "read";
    context.body = {
      access_token: await token.save(),
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      expires_in: 3_600,
    };
  };
}

export interface Guarded extends AsyncDisposable {
  readonly url: string;
  /** Headers of what came through, and of what was refused. */
  readonly passed: IncomingMessage["headers"][];
  readonly refused: IncomingMessage["headers"][];
  /** Tokens that it takes no longer, though they have not expired. */
  readonly revoked: Set<string>;
  /** Scopes that a request must have. */
  needed: string[];
}

export interface GuardOptions {
  /** Members of its own metadata that differ. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Where the metadata lie; undefined = under the well-known path. */
  readonly metadataPath?: string;
  readonly scopesSupported?: readonly string[];
}

/** Stands before a fake server, and passes on what carries a token of the authority for it. */
export async function startGuarded(
  inner: string,
  authority: Pick<Authority, "issuer" | "keys">,
  options: GuardOptions = {},
): Promise<Guarded> {
  const keys = createLocalJWKSet(await authority.keys());
  return startGuard(inner, options.metadataPath, (guard) => ({
    metadata: {
      authorization_servers: [authority.issuer],
      ...(options.scopesSupported && { scopes_supported: options.scopesSupported }),
      ...options.metadata,
    },
    async judge({ headers }) {
      const token = headers.authorization?.replace(/^Bearer /, "");
      if (token === undefined) return '401 Bearer resource_metadata="{at}"';
      if (guard.revoked.has(token)) return '401 Bearer error="invalid_token"';
      try {
        const expected = { issuer: authority.issuer, audience: guard.url };
        const { payload } = await jwtVerify(token, keys, expected);
        const scopes = String(payload.scope ?? "").split(" ");
        if (guard.needed.every((one) => scopes.includes(one))) return undefined;
        return `403 Bearer error="insufficient_scope", scope="${guard.needed.join(" ")}", resource_metadata="{at}"`;
      } catch {
        return '401 Bearer error="invalid_token", resource_metadata="{at}"';
      }
    },
  }));
}

/** Passes everything on, and remembers the headers. */
export function startListeningGuard(inner: string): Promise<Guarded> {
  return startGuard(inner, undefined, () => ({ metadata: {}, judge: async () => undefined }));
}

interface GuardRules {
  readonly metadata: object;
  /** Status and challenge of a refusal; `{at}` stands for where the metadata lie. */
  readonly judge: (request: IncomingMessage) => Promise<string | undefined>;
}

async function startGuard(
  inner: string,
  metadataPath: string | undefined,
  rulesOf: (guard: Omit<Guarded, typeof Symbol.asyncDispose>) => GuardRules,
): Promise<Guarded> {
  const target = new URL(inner);
  const server = createServer();
  await listen(server);
  const origin = originOf(server);
  const url = origin + target.pathname;
  const guard = {
    url,
    passed: [] as IncomingMessage["headers"][],
    refused: [] as IncomingMessage["headers"][],
    revoked: new Set<string>(),
    needed: [] as string[],
  };
  const { metadata, judge } = rulesOf(guard);
  const metadataAt = metadataPath ?? `/.well-known/oauth-protected-resource${target.pathname}`;

  server.on("request", async (request, response) => {
    if (request.url === metadataAt) {
      return response.end(JSON.stringify({ resource: url, ...metadata }));
    }
    if (request.url?.startsWith("/.well-known/")) return response.writeHead(404).end();
    const refusal = await judge(request);
    if (refusal !== undefined) {
      guard.refused.push(request.headers);
      const challenge = refusal.slice(4).replace("{at}", origin + metadataAt);
      request.resume();
      return response
        .writeHead(Number(refusal.slice(0, 3)), { "www-authenticate": challenge })
        .end("refused");
    }
    guard.passed.push(request.headers);
    const { host: _host, ...headers } = request.headers;
    const onward = httpRequest(
      {
        host: target.hostname,
        port: target.port,
        path: request.url,
        method: request.method,
        headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  server.on("upgrade", async (request, socket) => {
    socket.on("error", () => {});
    const refusal = await judge(request);
    if (refusal !== undefined) {
      guard.refused.push(request.headers);
      socket.end(
        `HTTP/1.1 ${refusal.slice(0, 3)} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
      return;
    }
    guard.passed.push(request.headers);
    const onward = connect(Number(target.port), target.hostname, () => {
      const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`);
      onward.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      socket.pipe(onward).pipe(socket);
    });
    onward.on("error", () => socket.destroy());
  });
  return Object.assign(guard, { [Symbol.asyncDispose]: () => stop(server) });
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
