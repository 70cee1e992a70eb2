/**
 * A server's authorization server as users meet it (mcp-protocol.md 3.2): where their browsers are sent, what comes back
 * with them, and the code exchanged for a grant. PKCE always, the issuer's own name checked before anything else it says
 * (RFC 9207), one resource (RFC 8707). `consents/` leads the browser; tokens never pass through it.
 */
import { createHash } from "node:crypto";
import { GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { randomSecret } from "../../lib/id.ts";
import { checkedUrl } from "../egress.ts";
import type { EgressFetch } from "../egress-fetch.ts";
import type { OAuthClient, ServerSpec } from "../spec.ts";
import type { AccessAsked, UserAuthorization } from "../user-access.ts";
import { readChallenge, scopesIn } from "./challenge.ts";
import { findTokenPlace, type TokenPlace } from "./discovery.ts";
import { type Grant, isGrantFor } from "./grant-shape.ts";
import type { Grants } from "./grants.ts";
import { refusedBy } from "./refusal.ts";
import { type IssuedToken, requestToken, revokeToken } from "./token-request.ts";

export interface UserAuthorizationOptions {
  readonly spec: Pick<ServerSpec, "name" | "allowPrivateNetwork">;
  readonly serverUrl: string;
  readonly client: OAuthClient;
  readonly grants: Grants;
  readonly fetch: EgressFetch;
  readonly clock: Clock;
}

/** Also the exchange of a refresh token, which no user sees. */
export interface GrantAuthority extends UserAuthorization {
  refresh(refreshToken: string): Promise<IssuedToken>;
  /** The user's grant for this very server, where there is one. */
  find(caller: AccessAsked["caller"]): Promise<Grant | undefined>;
}

interface Found {
  readonly place: TokenPlace;
  /** What the server asked for when it was asked without a token. */
  readonly challenged: readonly string[] | undefined;
  readonly untilMs: number;
}

const placeTtlMs = 600_000;
const scopesMax = 64;

export function createUserAuthorization(options: UserAuthorizationOptions): GrantAuthority {
  const { spec, serverUrl, client, grants, fetch, clock } = options;
  const server = spec.name;
  const { allowPrivateNetwork } = spec;
  let known: Found | undefined;

  /** What the server says to somebody who brings no token: nothing of any call is in the question. */
  async function askServer() {
    const answer = await fetch(serverUrl, { headers: { accept: "text/event-stream" } }).catch(
      () => undefined,
    );
    if (answer?.status !== 401) return readChallenge(undefined);
    return readChallenge(answer.headers.get("www-authenticate"));
  }

  async function find(): Promise<Found> {
    if (known !== undefined && clock.monotonicMs() < known.untilMs) return known;
    try {
      const { metadataUrl, scopes } = await askServer();
      const discovery = { server, serverUrl, client, allowPrivateNetwork, fetch };
      const place = await findTokenPlace(discovery, metadataUrl);
      known = { place, challenged: scopes, untilMs: clock.monotonicMs() + placeTtlMs };
      return known;
    } catch (error) {
      throw asRefusal(server, error);
    }
  }

  async function exchange(
    place: TokenPlace,
    grant: Readonly<Record<string, string>>,
  ): Promise<IssuedToken> {
    const request = { server, client, place, scopes: undefined, subjectToken: undefined };
    try {
      return await requestToken({ ...request, grant, fetch, clock });
    } catch (error) {
      known = undefined;
      throw asRefusal(server, error);
    }
  }

  /** The page to send users to, of an authorization server that may be trusted with a code. */
  function frontOf({ front }: TokenPlace) {
    if (front?.authorizationUrl === undefined) {
      throw refusedBy(server, "oauth-no-authorization-endpoint");
    }
    if (!front.challengeMethods.includes("S256")) throw refusedBy(server, "oauth-no-pkce");
    checkedUrl(front.authorizationUrl, "http", allowPrivateNetwork);
    return { ...front, authorizationUrl: front.authorizationUrl };
  }

  async function findGrant(caller: AccessAsked["caller"]): Promise<Grant | undefined> {
    const grant = await grants.find(grants.idOf(caller, server));
    return grant !== undefined && isGrantFor(grant, serverUrl, client) ? grant : undefined;
  }

  return {
    find: findGrant,
    async refresh(refreshToken) {
      const { place } = await find();
      return exchange(place, { grant_type: "refresh_token", refresh_token: refreshToken });
    },
    async describe({ caller, moreScopes }) {
      const { place, challenged } = await find();
      try {
        frontOf(place);
      } catch (error) {
        throw asRefusal(server, error);
      }
      const first = client.scopes ?? challenged ?? place.scopes ?? [];
      const before = (await findGrant(caller))?.askedScopes ?? first;
      const scopes = [...new Set([...before, ...moreScopes])].slice(0, scopesMax);
      return { issuer: place.issuer ?? "", scopes };
    },
    async begin({ redirectUri, state, scopes }) {
      const { place } = await find();
      const { authorizationUrl } = frontOf(place);
      const verifier = randomSecret(48);
      const url = new URL(authorizationUrl);
      url.hash = "";
      const challenge = createHash("sha256").update(verifier).digest("base64url");
      const asked = {
        ...{ response_type: "code", client_id: client.clientId, redirect_uri: redirectUri, state },
        ...{ code_challenge: challenge, code_challenge_method: "S256", resource: place.resource },
        ...(scopes.length > 0 && { scope: scopes.join(" ") }),
        // Without it OpenID providers give no refresh token for offline use.
        ...(scopes.includes("offline_access") && { prompt: "consent" }),
      };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      return { url: url.href, verifier, issuer: place.issuer ?? "" };
    },
    async finish({ asked, params, verifier, issuer, scopes, redirectUri }) {
      const { place } = await find();
      // An answer from elsewhere says nothing, not even that it failed (mix-up).
      checkAnswerer(server, params, issuer, place);
      const failure = params.get("error");
      if (failure !== null) throw refusedBy(server, `oauth-${scopesIn(failure)[0] ?? "error"}`);
      const code = params.get("code");
      if (code === null) throw refusedBy(server, "oauth-no-code");
      const issued = await exchange(place, {
        ...{ grant_type: "authorization_code", code },
        ...{ redirect_uri: redirectUri, code_verifier: verifier },
      });
      const nowMs = clock.nowMs();
      const given = issued.scopes ?? scopes;
      const { id: principal, clientId, tenant } = asked.caller;
      const save = () =>
        grants.save({
          ...{ principal, client: clientId, tenant, server, serverUrl, issuer },
          oauthClientId: client.clientId,
          scopes: given,
          askedScopes: scopes,
          accessToken: issued.value,
          expiresAtMs: nowMs + issued.lifetimeMs,
          refreshToken: issued.refreshToken,
          grantedAtMs: nowMs,
        });
      return { scopes: given, save };
    },
    deny: ({ caller }) => grants.denied(grants.idOf(caller, server)),
    async revoke(grantId) {
      const grant = await grants.find(grantId);
      // Gone here before anybody else is asked, who may take their time.
      await grants.remove(grantId);
      if (grant === undefined || !isGrantFor(grant, serverUrl, client)) return false;
      const { place } = await find();
      const url = place.front?.revocationUrl;
      if (url === undefined) return false;
      checkedUrl(url, "http", allowPrivateNetwork);
      const tokens = [grant.refreshToken, grant.accessToken].filter((one) => one !== undefined);
      const proof = { server, client, place, clock, fetch };
      const revoked = await Promise.all(tokens.map((token) => revokeToken(proof, url, token)));
      // The refresh token is the grant; many cannot take back an access token, which ends by itself.
      return revoked[0] === true;
    },
  };
}

function checkAnswerer(
  server: string,
  params: URLSearchParams,
  issuer: string,
  { issuer: current, front }: TokenPlace,
): void {
  const named = params.get("iss");
  const isMissing = named === null && front?.namesItself === true;
  // Byte for byte: whoever normalises can be made to mix two up.
  if (isMissing || (named !== null && named !== issuer) || current !== issuer) {
    throw refusedBy(server, "oauth-iss-mismatch");
  }
}

function asRefusal(server: string, error: unknown): GatewayError {
  if (!(error instanceof GatewayError)) {
    return refusedBy(server, `oauth-metadata: ${String(error).slice(0, 100)}`);
  }
  const { fault } = error;
  return fault.name === "invalid-params" ? refusedBy(server, fault.reason ?? fault.name) : error;
}
