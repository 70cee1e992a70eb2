/**
 * How the gateway proves itself to a server, between protobuf and the resource. Secrets are write-only, and belong to
 * the place they were given for: a server or an authorization server elsewhere does not inherit them.
 */
import { GatewayError } from "../../errors/fault.ts";
import type {
  ServerAuth as AuthMessage,
  OAuthClient as ClientMessage,
  OAuthGrant,
  SecretPlace,
} from "../../gen/types.ts";
import type { OAuthClient, ServerAuth } from "../../servers/spec.ts";
import { keyFor, orNone, orUndefined, redacted } from "./common.ts";

const grants = {
  OAUTH_GRANT_CLIENT_CREDENTIALS: "client-credentials",
  OAUTH_GRANT_TOKEN_EXCHANGE: "token-exchange",
  OAUTH_GRANT_AUTHORIZATION_CODE: "authorization-code",
} as const satisfies Partial<Record<OAuthGrant, OAuthClient["grant"]>>;

const places = {
  SECRET_PLACE_HEADER: "header",
  SECRET_PLACE_BODY: "body",
} as const satisfies Partial<Record<SecretPlace, OAuthClient["secretIn"]>>;

/** `before` is what is stored for a server at the same address; undefined where the address is new. */
export function toAuth(
  message: AuthMessage | null | undefined,
  before: ServerAuth | undefined,
): ServerAuth | undefined {
  if (message === null || message === undefined) return undefined;
  return {
    gatewaySecret: keepSecret(
      message.gateway_secret,
      before?.gatewaySecret,
      "server.auth.gateway_secret",
    ),
    tellsUser: message.tells_user,
    oauth: message.oauth ? toClient(message.oauth, before?.oauth) : undefined,
  };
}

export function fromAuth(auth: ServerAuth | undefined): AuthMessage | undefined {
  if (auth === undefined) return undefined;
  return {
    gateway_secret: hide(auth.gatewaySecret),
    tells_user: auth.tellsUser,
    oauth: auth.oauth && fromClient(auth.oauth),
  };
}

function toClient(message: ClientMessage, before: OAuthClient | undefined): OAuthClient {
  if (message.grant === "OAUTH_GRANT_UNSPECIFIED") {
    const allowed = Object.keys(grants).join(", ");
    throw new GatewayError("invalid-params", `server.auth.oauth.grant: must be one of ${allowed}`);
  }
  const issuer = orUndefined(message.issuer);
  const tokenUrl = orUndefined(message.token_url);
  const isSame =
    before?.clientId === message.client_id &&
    before.issuer === issuer &&
    before.tokenUrl === tokenUrl;
  const kept = isSame ? before : undefined;
  const field = "server.auth.oauth";
  return {
    grant: grants[message.grant],
    clientId: message.client_id,
    clientSecret: keepSecret(message.client_secret, kept?.clientSecret, `${field}.client_secret`),
    privateKey: keepSecret(message.private_key_pem, kept?.privateKey, `${field}.private_key_pem`),
    keyId: orUndefined(message.key_id),
    issuer,
    tokenUrl,
    secretIn:
      message.secret_in === "SECRET_PLACE_UNSPECIFIED" ? undefined : places[message.secret_in],
    scopes: orNone(message.scopes),
    resource: orUndefined(message.resource),
    audience: orUndefined(message.audience),
  };
}

function fromClient(client: OAuthClient): ClientMessage {
  return {
    grant: keyFor(grants, client.grant),
    client_id: client.clientId,
    client_secret: hide(client.clientSecret),
    private_key_pem: hide(client.privateKey),
    key_id: client.keyId ?? "",
    issuer: client.issuer ?? "",
    token_url: client.tokenUrl ?? "",
    secret_in:
      client.secretIn === undefined ? "SECRET_PLACE_UNSPECIFIED" : keyFor(places, client.secretIn),
    scopes: client.scopes ?? [],
    resource: client.resource ?? "",
    audience: client.audience ?? "",
  };
}

function hide(secret: string | undefined): string {
  return secret === undefined ? "" : redacted;
}

function keepSecret(given: string, stored: string | undefined, field: string): string | undefined {
  if (given !== redacted) return orUndefined(given);
  if (stored !== undefined) return stored;
  throw new GatewayError(
    "invalid-params",
    `${field}: "${redacted}" keeps a stored value, and there is none`,
  );
}
