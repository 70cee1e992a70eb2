/**
 * An authorization server for authorization codes that tests can bend: its metadata, its answers, and refresh tokens that
 * rotate, of which one used twice ends the family. Codes are made by the test, in the user's stead.
 */
import { createHash, randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from "jose";

export interface CodeAuthority extends AsyncDisposable {
  readonly issuer: string;
  readonly keys: () => Promise<JSONWebKeySet>;
  /** A code for what an authorization request asked; `subject` is who agreed. */
  code(request: URL, subject: string): string;
  readonly tokenRequests: URLSearchParams[];
  readonly revoked: string[];
  /** Members of the metadata that differ. */
  metadata: Readonly<Record<string, unknown>>;
  /** Members of token answers that differ; undefined leaves one out. */
  answer: Readonly<Record<string, unknown>>;
  /** While set, the token endpoint answers with it. */
  failure: { readonly status: number; readonly error: string } | undefined;
  accessSeconds: number;
}

interface Family {
  readonly subject: string;
  readonly scope: string;
  readonly resource: string;
  current: string;
}

export async function startCodeAuthority(): Promise<CodeAuthority> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" };
  const codes = new Map<string, { readonly request: URL; readonly subject: string }>();
  const families = new Map<string, Family>();

  const server: Bun.Server<undefined> = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request): Promise<Response> {
      const { pathname } = new URL(request.url);
      if (pathname === "/.well-known/oauth-authorization-server") {
        return Response.json({ ...metadata(), ...authority.metadata });
      }
      const params = new URLSearchParams(await request.text());
      if (pathname === "/revoke") {
        authority.revoked.push(params.get("token") ?? "");
        return new Response("", { status: 200 });
      }
      if (pathname !== "/token") return new Response("", { status: 404 });
      authority.tokenRequests.push(params);
      const { failure } = authority;
      if (failure !== undefined) {
        return Response.json({ error: failure.error }, { status: failure.status });
      }
      return params.get("grant_type") === "refresh_token" ? refresh(params) : exchange(params);
    },
  });
  const issuer: string = server.url.origin;
  const metadata = (): object => ({
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    code_challenge_methods_supported: ["S256"],
    authorization_response_iss_parameter_supported: true,
    token_endpoint_auth_methods_supported: ["client_secret_basic", "none"],
  });

  async function exchange(params: URLSearchParams): Promise<Response> {
    const code = params.get("code") ?? "";
    const found = codes.get(code);
    codes.delete(code);
    const asked = found?.request.searchParams;
    const verifier = params.get("code_verifier") ?? "";
    const challenge = createHash("sha256").update(verifier).digest("base64url");
    const isSame = (name: string) => asked?.get(name) === params.get(name);
    if (found === undefined || asked?.get("code_challenge") !== challenge) return invalidGrant();
    if (!isSame("redirect_uri") || !isSame("resource")) return invalidGrant();
    return issue({
      subject: found.subject,
      scope: asked.get("scope") ?? "",
      resource: asked.get("resource") ?? "",
      current: "",
    });
  }

  async function refresh(params: URLSearchParams): Promise<Response> {
    const token = params.get("refresh_token") ?? "";
    const family = families.get(token);
    if (family === undefined) return invalidGrant();
    if (family.current === token) return issue(family);
    // Used twice: somebody has a copy.
    family.current = "";
    return invalidGrant();
  }

  async function issue(family: Family): Promise<Response> {
    family.current = randomUUID();
    families.set(family.current, family);
    const { accessSeconds: expires_in } = authority;
    const access_token = await new SignJWT({ scope: family.scope, jti: randomUUID() })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setIssuer(issuer)
      .setSubject(family.subject)
      .setAudience(family.resource)
      .setExpirationTime("1h")
      .sign(privateKey);
    const answer = {
      access_token,
      token_type: "Bearer",
      expires_in,
      refresh_token: family.current,
    };
    return Response.json({ ...answer, ...authority.answer });
  }

  const authority: CodeAuthority = {
    issuer,
    keys: async () => ({ keys: [jwk] }),
    code(request, subject) {
      const code = randomUUID();
      codes.set(code, { request, subject });
      return code;
    },
    tokenRequests: [],
    revoked: [],
    metadata: {},
    answer: {},
    failure: undefined,
    accessSeconds: 600,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return authority;
}

function invalidGrant(): Response {
  return Response.json({ error: "invalid_grant" }, { status: 400 });
}
