/**
 * One request to a token endpoint: how the client proves itself (`client_secret_basic`, `client_secret_post`,
 * `private_key_jwt`, or not at all for a public one), and what comes back. Knows two grants by itself: the client's own
 * credentials (RFC 6749) and the exchange of a user's token (RFC 8693); others are given. Also takes a token back.
 */
import { randomUUID } from "node:crypto";
import { importPKCS8, SignJWT } from "jose";
import type { Clock } from "../../lib/clock.ts";
import type { EgressFetch } from "../egress-fetch.ts";
import type { OAuthClient } from "../spec.ts";
import { scopesIn } from "./challenge.ts";
import { readJson, type TokenPlace } from "./discovery.ts";
import { refusedBy } from "./refusal.ts";

export interface TokenRequest {
  readonly server: string;
  readonly client: OAuthClient;
  readonly place: TokenPlace;
  readonly scopes: readonly string[] | undefined;
  /** The user's token, to be exchanged; undefined for the client's own. */
  readonly subjectToken: string | undefined;
  /** Parameters of another grant than these two, such as a code. */
  readonly grant?: Readonly<Record<string, string>>;
  readonly fetch: EgressFetch;
  readonly clock: Clock;
}

export interface IssuedToken {
  readonly value: string;
  readonly lifetimeMs: number;
  readonly refreshToken?: string | undefined;
  /** Where the answer says them: they may be others than were asked for. */
  readonly scopes?: readonly string[] | undefined;
}

type ClientProof = Pick<TokenRequest, "server" | "client" | "place" | "clock">;

const assertionSeconds = 60;
/** Where the answer names no lifetime (RFC 6749 leaves it open). */
const lifetimeSecondsDefault = 300;
const lifetimeSecondsMax = 86_400;
const tokenText = /^[\x21-\x7e]{1,16384}$/;
const errorCode = /^[a-z_]{1,40}$/;
const tokenType = "urn:ietf:params:oauth:token-type:access_token";

/** Rejects GatewayError upstream-unreachable with what the token endpoint said. */
export async function requestToken(request: TokenRequest): Promise<IssuedToken> {
  const { server, place, scopes, fetch } = request;
  const params = new URLSearchParams({
    ...(request.grant ?? ownGrant(request)),
    resource: place.resource,
    ...(scopes !== undefined && scopes.length > 0 && { scope: scopes.join(" ") }),
  });
  const proof = await proveClient(request, params);
  const answer = await fetch(place.tokenUrl, {
    method: "POST",
    headers: {
      ...proof,
      accept: "application/json",
      "content-type": "application/x-www-form-urlencoded",
    },
    body: params.toString(),
  }).catch((error: unknown) => {
    throw refusedBy(server, `oauth-token-endpoint: ${String(error).slice(0, 100)}`);
  });
  const body = readJson(answer.text);
  if (answer.status !== 200 || body === undefined) {
    const code = body?.error;
    const isCode = typeof code === "string" && errorCode.test(code);
    throw refusedBy(server, `oauth-${isCode ? code : `status-${answer.status}`}`);
  }
  return readToken(server, body);
}

function ownGrant({ client, subjectToken }: TokenRequest): Readonly<Record<string, string>> {
  if (subjectToken === undefined) return { grant_type: "client_credentials" };
  return {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: subjectToken,
    subject_token_type: tokenType,
    requested_token_type: tokenType,
    ...(client.audience !== undefined && { audience: client.audience }),
  };
}

/** RFC 7009; false where the authorization server does not confirm it. */
export async function revokeToken(
  request: ClientProof & { readonly fetch: EgressFetch },
  url: string,
  token: string,
): Promise<boolean> {
  const params = new URLSearchParams({ token });
  const proof = await proveClient(request, params);
  const headers = { ...proof, "content-type": "application/x-www-form-urlencoded" };
  const asked = { method: "POST", headers, body: params.toString() } as const;
  return (await request.fetch(url, asked)).status === 200;
}

function readToken(server: string, body: Readonly<Record<string, unknown>>): IssuedToken {
  const { access_token: value, token_type: type, expires_in: seconds } = body;
  if (typeof value !== "string" || !tokenText.test(value)) throw refusedBy(server, "oauth-token");
  // A token of another type would have to be shown otherwise; as a bearer it would leak what it protects.
  if (typeof type !== "string" || type.toLowerCase() !== "bearer") {
    throw refusedBy(server, "oauth-token-type");
  }
  const lifetime = typeof seconds === "string" ? Number(seconds) : seconds;
  const isLifetime = typeof lifetime === "number" && Number.isFinite(lifetime) && lifetime >= 0;
  const kept = isLifetime ? Math.min(lifetime, lifetimeSecondsMax) : lifetimeSecondsDefault;
  const { refresh_token: refreshToken, scope } = body;
  const isRefresh = typeof refreshToken === "string" && tokenText.test(refreshToken);
  return {
    value,
    lifetimeMs: kept * 1_000,
    ...(isRefresh && { refreshToken }),
    ...(typeof scope === "string" && { scopes: scopesIn(scope) }),
  };
}

/** Adds the client's proof to the parameters, or returns it as a header. */
async function proveClient(
  request: ClientProof,
  params: URLSearchParams,
): Promise<Readonly<Record<string, string>>> {
  const { client, server, place } = request;
  const { methods } = place;
  if (client.privateKey !== undefined) {
    if (methods.length > 0 && !methods.includes("private_key_jwt")) {
      throw refusedBy(server, "oauth-no-private-key-jwt");
    }
    params.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    params.set("client_assertion", await signAssertion(request, client.privateKey));
    return {};
  }
  const { clientId, clientSecret } = client;
  if (clientSecret === undefined) {
    params.set("client_id", clientId);
    return {};
  }
  const isBodyOnly =
    methods.includes("client_secret_post") && !methods.includes("client_secret_basic");
  if ((client.secretIn ?? (isBodyOnly ? "body" : "header")) === "body") {
    params.set("client_id", clientId);
    params.set("client_secret", clientSecret);
    return {};
  }
  const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

/** RFC 6749, section 2.3.1: both halves as in a form. */
function formEncoded(text: string): string {
  return new URLSearchParams({ v: text }).toString().slice(2);
}

/** The audience is the issuer: an assertion that another party got hold of is worth nothing here. */
async function signAssertion(
  { client, server, place, clock }: ClientProof,
  pem: string,
): Promise<string> {
  const issuedAt = Math.floor(clock.nowMs() / 1_000);
  for (const algorithm of assertionAlgorithms) {
    if (place.algorithms?.includes(algorithm) === false) continue;
    const key = await importPKCS8(pem, algorithm).catch(() => undefined);
    if (key === undefined) continue;
    return await new SignJWT()
      .setProtectedHeader({
        alg: algorithm,
        typ: "JWT",
        ...(client.keyId !== undefined && { kid: client.keyId }),
      })
      .setIssuer(client.clientId)
      .setSubject(client.clientId)
      .setAudience(place.issuer ?? place.tokenUrl)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + assertionSeconds)
      .sign(key);
  }
  throw refusedBy(server, "oauth-private-key");
}

/** The first that fits the key, of those the authorization server takes. */
const assertionAlgorithms = ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"] as const;
