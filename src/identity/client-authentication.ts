/**
 * How the gateway proves itself as a client of a token issuer: by a secret in the header, or an assertion it signs. Used
 * to ask about tokens, and to let users log in.
 */
import { createPrivateKey } from "node:crypto";
import { SignJWT } from "jose";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";

/** The gateway's own client at an issuer. */
export interface OwnClient {
  readonly clientId: string;
  /** Exactly one of secret (`client_secret_basic`) and private key (`private_key_jwt`, PKCS #8 PEM). */
  readonly clientSecret?: string | undefined;
  readonly privateKey?: string | undefined;
  /** The key's algorithm, and its `kid` at the server. */
  readonly privateKeyAlgorithm?: string | undefined;
  readonly privateKeyId?: string | undefined;
}

const assertionSeconds = 60;

/** How it is shown: a header, or members of the form. */
export interface ClientAuthentication {
  readonly authorization?: string;
  readonly form?: Readonly<Record<string, string>>;
}

/** `what` begins the message of a configuration that is unusable, which throws invalid-params. */
export function createClientAuthentication(
  config: OwnClient,
  issuer: string,
  clock: Clock,
  what: string,
): () => Promise<ClientAuthentication> {
  const { clientId, clientSecret, privateKey } = config;
  if ((clientSecret === undefined) === (privateKey === undefined)) {
    refuse(what, "exactly one of client_secret and private_key_file must be set");
  }
  if (clientSecret !== undefined) {
    // RFC 6749 2.3.1: both are form-encoded before they are joined.
    const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`;
    const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
    return async () => ({ authorization });
  }
  const key = readPrivateKey(privateKey ?? "", what);
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

function readPrivateKey(pem: string, what: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    return refuse(what, "private_key_file holds no private key in PEM form");
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function refuse(what: string, why: string): never {
  throw new GatewayError("invalid-params", `${what}: ${why}`);
}
