/**
 * Users log in at their own issuer, so that a browser can be told to be theirs: the gateway as an OpenID Connect client,
 * by authorization code with PKCE, nonce and the issuer's own name (RFC 9207). What comes out is a principal's id and
 * nothing else: the ID token is verified as agents' tokens are, and forgotten.
 */
import { createHash } from "node:crypto";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { randomSecret } from "../lib/id.ts";
import type { Log } from "../telemetry/log.ts";
import { createClientAuthentication, type OwnClient } from "./client-authentication.ts";
import { type Dial, fetchText } from "./fetch-text.ts";
import { metadataUrls } from "./jwks-source.ts";
import { createJwtVerifier, type JwtVerifier } from "./jwt.ts";
import { decodeJsonObject } from "./jwt-format.ts";
import type { JwtIssuerConfig } from "./jwt-issuer-config.ts";
import { applyProvider } from "./providers/apply.ts";

export interface LoginConfig extends OwnClient {
  readonly scopes: readonly string[];
}

export interface LoginIssuer {
  readonly issuer: JwtIssuerConfig;
  readonly login: LoginConfig;
}

/** What must be kept, out of the browser's reach, until it comes back. */
export interface LoginBegun {
  readonly issuer: string;
  readonly nonce: string;
  readonly verifier: string;
}

export interface Logins {
  /** Whether users of this issuer can log in here. */
  has(issuer: string): boolean;
  /** Rejects with an Error that says why where the issuer cannot be asked. */
  begin(
    issuer: string,
    redirectUri: string,
    state: string,
  ): Promise<LoginBegun & { readonly url: string }>;
  /** The principal's id; rejects with an Error that says why where nobody logged in. */
  finish(begun: LoginBegun, redirectUri: string, params: URLSearchParams): Promise<string>;
}

interface Login {
  readonly config: LoginConfig;
  readonly allowPrivateNetwork: boolean;
  readonly authenticate: ReturnType<typeof createClientAuthentication>;
  readonly verifier: JwtVerifier;
  known: { readonly metadata: Metadata; readonly untilMs: number } | undefined;
}

interface Metadata {
  readonly authorizationUrl: string;
  readonly tokenUrl: string;
  readonly namesItself: boolean;
}

const metadataTtlMs = 600_000;

/** Throws invalid-params where a login is configured that makes no sense; asks nobody. */
export function createLogins(deps: {
  readonly issuers: readonly LoginIssuer[];
  readonly dial: Dial;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
}): Logins {
  const { dial, clock, log } = deps;
  const logins = new Map(
    deps.issuers.map(({ issuer: given, login: config }) => {
      const { issuer, algorithms } = applyProvider(given);
      const what = `JWT issuer "${issuer}": login`;
      if (algorithms.length === 0) {
        throw new GatewayError("invalid-params", `${what}: needs algorithms, for its ID tokens`);
      }
      const login: Login = {
        config,
        allowPrivateNetwork: given.allowPrivateNetwork ?? false,
        authenticate: createClientAuthentication(config, issuer, clock, what),
        verifier: createJwtVerifier({ issuers: [forLogin(given, config)], dial, clock, log }),
        known: undefined,
      };
      return [issuer, login] as const;
    }),
  );

  function need(issuer: string): Login {
    const login = logins.get(issuer);
    if (login === undefined) throw new Error("this issuer's users cannot log in here");
    return login;
  }

  async function metadataOf(issuer: string, login: Login): Promise<Metadata> {
    if (login.known !== undefined && clock.monotonicMs() < login.known.untilMs) {
      return login.known.metadata;
    }
    let failure: unknown;
    for (const url of metadataUrls(issuer)) {
      try {
        const { allowPrivateNetwork } = login;
        const accept = "application/json";
        const text = await fetchText({ url, accept, allowPrivateNetwork }, dial);
        const metadata = readMetadata(text, issuer);
        login.known = { metadata, untilMs: clock.monotonicMs() + metadataTtlMs };
        return metadata;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async function exchange(
    login: Login,
    tokenUrl: string,
    form: Readonly<Record<string, string>>,
  ): Promise<string> {
    const { authorization, form: proof } = await login.authenticate();
    const { allowPrivateNetwork } = login;
    const request = { url: tokenUrl, accept: "application/json", form: { ...form, ...proof } };
    const text = await fetchText({ ...request, authorization, allowPrivateNetwork }, dial);
    const token = decodeJsonObject(text)?.id_token;
    if (typeof token !== "string") throw new Error("the issuer gave no ID token");
    return token;
  }

  return {
    has: (issuer) => logins.has(issuer),
    async begin(issuer, redirectUri, state) {
      const login = need(issuer);
      const { authorizationUrl } = await metadataOf(issuer, login);
      const [nonce, verifier] = [randomSecret(), randomSecret(48)];
      const url = new URL(authorizationUrl);
      url.hash = "";
      const asked = {
        ...{ response_type: "code", client_id: login.config.clientId, redirect_uri: redirectUri },
        ...{ scope: login.config.scopes.join(" "), state, nonce },
        code_challenge: createHash("sha256").update(verifier).digest("base64url"),
        code_challenge_method: "S256",
      };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      return { issuer, nonce, verifier, url: url.href };
    },
    async finish({ issuer, nonce, verifier }, redirectUri, params) {
      const login = need(issuer);
      const { tokenUrl, namesItself } = await metadataOf(issuer, login);
      const named = params.get("iss");
      if ((named === null && namesItself) || (named !== null && named !== issuer)) {
        throw new Error("another issuer answered");
      }
      const code = params.get("code");
      if (params.has("error") || code === null) throw new Error("the login was not completed");
      const token = await exchange(login, tokenUrl, {
        ...{ grant_type: "authorization_code", code },
        ...{ redirect_uri: redirectUri, code_verifier: verifier },
      });
      const verified = await login.verifier.verify(token, "");
      if (typeof verified === "string") throw new Error(`the ID token is refused: ${verified}`);
      const { payload, subject } = verified.claims;
      if (payload.nonce !== nonce) throw new Error("the ID token is of another login");
      const { azp } = payload;
      if (azp !== undefined && azp !== login.config.clientId) {
        throw new Error("the ID token is for another client");
      }
      return `user:${issuer}#${subject}`;
    },
  };
}

/**
 * ID tokens are signed as the issuer's other tokens are, for our client, and only say who it is: what else a provider's
 * access tokens must hold is not asked of them.
 */
function forLogin(given: JwtIssuerConfig, { clientId }: LoginConfig): JwtIssuerConfig {
  const { issuer, algorithms, jwksUrl, jwksFile, secret, claims } = applyProvider(given);
  return {
    ...{ issuer, algorithms, jwksUrl, jwksFile, secret },
    audiences: [clientId],
    claims: { subject: claims?.subject },
    allowPrivateNetwork: given.allowPrivateNetwork,
    clockSkewSeconds: given.clockSkewSeconds,
  };
}

function readMetadata(text: string, issuer: string): Metadata {
  const document = decodeJsonObject(text);
  if (document?.issuer !== issuer) throw new Error("the metadata is of another issuer");
  const { authorization_endpoint: authorizationUrl, token_endpoint: tokenUrl } = document;
  if (typeof authorizationUrl !== "string" || !/^https?:$/.test(schemeOf(authorizationUrl))) {
    throw new Error("the metadata names no authorization_endpoint");
  }
  if (typeof tokenUrl !== "string") throw new Error("the metadata names no token_endpoint");
  const namesItself = document.authorization_response_iss_parameter_supported === true;
  return { authorizationUrl, tokenUrl, namesItself };
}

function schemeOf(url: string): string {
  return URL.parse(url)?.protocol ?? "";
}
