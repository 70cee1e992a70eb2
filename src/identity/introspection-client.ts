/**
 * Asks an authorization server about one token (RFC 7662), as the client the operator registered there. Says what the
 * server said; what is remembered, and for how long, is in `introspection.ts`.
 */
import { createPrivateKey } from "node:crypto";
import { SignJWT } from "jose";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import { type Dial, fetchText } from "./fetch-text.ts";
import { decodeJsonObject } from "./jwt-format.ts";

export interface IntrospectionConfig {
  readonly url: string;
  readonly clientId: string;
  /** Exactly one of secret (`client_secret_basic`) and private key (`private_key_jwt`, PKCS #8 PEM). */
  readonly clientSecret?: string | undefined;
  readonly privateKey?: string | undefined;
  /** The key's algorithm, and its `kid` at the server. */
  readonly privateKeyAlgorithm?: string | undefined;
  readonly privateKeyId?: string | undefined;
  /** Whether tokens that are no JWTs are this issuer's. At most one issuer's may be. */
  readonly opaqueTokens?: boolean | undefined;
  /** Longest an answer is believed without asking again. Default 30. */
  readonly rememberSeconds?: number | undefined;
}

/** The claims of an active token; undefined where the server says it is not active. */
export type Introspected = Readonly<Record<string, unknown>> | undefined;

export interface IntrospectionClient {
  /** Rejects where the server cannot be asked or does not answer as RFC 7662 says. */
  ask(token: string): Promise<Introspected>;
}

const bytesMax = 64 * 1024;
const assertionSeconds = 60;

export function createIntrospectionClient(deps: {
  readonly config: IntrospectionConfig;
  readonly issuer: string;
  readonly dial: Dial;
  readonly allowPrivateNetwork: boolean;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}): IntrospectionClient {
  const { config, dial, allowPrivateNetwork } = deps;
  const authenticate = createClientAuthentication(config, deps.issuer, deps.clock);
  return {
    async ask(token) {
      const { authorization, form } = await authenticate();
      const text = await fetchText(
        {
          url: config.url,
          accept: "application/json",
          form: { token, token_type_hint: "access_token", ...form },
          authorization,
          allowPrivateNetwork,
          bytesMax,
          timeoutMs: deps.timeoutMs ?? 5_000,
        },
        dial,
      );
      const answer = decodeJsonObject(text);
      if (typeof answer?.active !== "boolean") throw new Error("answered with no introspection");
      return answer.active ? answer : undefined;
    },
  };
}

interface ClientAuthentication {
  readonly authorization?: string;
  readonly form?: Readonly<Record<string, string>>;
}

function createClientAuthentication(
  config: IntrospectionConfig,
  issuer: string,
  clock: Clock,
): () => Promise<ClientAuthentication> {
  const { clientId, clientSecret, privateKey } = config;
  if ((clientSecret === undefined) === (privateKey === undefined)) {
    refuse(issuer, "exactly one of client_secret and private_key_file must be set");
  }
  if (!URL.canParse(config.url)) refuse(issuer, "url is not a URL");
  if (clientSecret !== undefined) {
    // RFC 6749 2.3.1: both are form-encoded before they are joined.
    const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`;
    const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
    return async () => ({ authorization });
  }
  const key = readPrivateKey(privateKey ?? "", issuer);
  const alg = config.privateKeyAlgorithm ?? "RS256";
  const kid = config.privateKeyId;
  return async () => {
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    const assertion = await new SignJWT({ jti: newId() })
      .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(issuer)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + assertionSeconds)
      .sign(key);
    return {
      form: {
        client_id: clientId,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: assertion,
      },
    };
  };
}

function readPrivateKey(pem: string, issuer: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    return refuse(issuer, "private_key_file holds no private key in PEM form");
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function refuse(issuer: string, what: string): never {
  throw new GatewayError("invalid-params", `JWT issuer "${issuer}": introspection: ${what}`);
}
