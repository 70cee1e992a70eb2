/**
 * What a well-formed `auth` of a server looks like, and what of it fits which transport. Part of
 * `resource-shapes.ts`; whether an address may be dialled is the egress check's word.
 */
import type { OAuthClient, ServerAuth, ServerSpec } from "../servers/spec.ts";
import { flag, list, matching, object, oneOf, optional, refuseField, text } from "./body-shape.ts";

/** Fault AN-22: what proves the gateway must not be guessed. 128 bits are 22 characters of base64. */
const gatewaySecretCharsMin = 22;
const scope = matching(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 256, "an OAuth scope");
const visible = /^[\x21-\x7e]+$/;

const oauth = object<OAuthClient>({
  grant: oneOf(["client-credentials", "token-exchange", "authorization-code"]),
  clientId: text(2048, 1),
  clientSecret: optional(text(4096, 1)),
  privateKey: optional(text(16_384, 1)),
  keyId: optional(text(256, 1)),
  issuer: optional(text(2048, 1)),
  tokenUrl: optional(text(2048, 1)),
  secretIn: optional(oneOf(["header", "body"])),
  scopes: optional(list(scope, 64)),
  resource: optional(text(2048, 1)),
  audience: optional(text(2048, 1)),
});

const gatewaySecret = matching(visible, 4096, "visible ASCII characters, at most 4096");

export const serverAuthShape = object<ServerAuth>({
  gatewaySecret: optional(gatewaySecret),
  tellsUser: flag,
  oauth: optional(oauth),
});

/** Refuses what could never work, or would tell something to who should not know it. Throws invalid-params. */
export function checkAuth({ auth, transport }: Pick<ServerSpec, "auth" | "transport">): void {
  if (auth === undefined) return;
  if (transport.kind === "stdio") {
    refuseField("auth", "a stdio server takes its credentials from its environment");
  }
  const headers = new Set(Object.keys(transport.headers).map((name) => name.toLowerCase()));
  for (const name of ["x-gateway-auth", "x-user-id"]) {
    if (headers.has(name)) refuseField("transport.headers", `${name} is set by auth`);
  }
  const secretChars = auth.gatewaySecret?.length ?? gatewaySecretCharsMin;
  if (secretChars < gatewaySecretCharsMin) {
    refuseField("auth.gatewaySecret", `at least ${gatewaySecretCharsMin} characters (128 bits)`);
  }
  if (auth.tellsUser) checkTellsUser(auth, transport.kind);
  if (auth.oauth === undefined) return;
  if (headers.has("authorization")) {
    refuseField("transport.headers", "authorization is set by auth.oauth");
  }
  checkClient(auth.oauth, transport.kind);
}

function checkTellsUser({ gatewaySecret, oauth }: ServerAuth, kind: string): void {
  if (gatewaySecret === undefined && oauth === undefined) {
    refuseField("auth.tellsUser", "needs gatewaySecret or oauth: anybody could say who calls");
  }
  if (kind === "websocket") {
    refuseField("auth.tellsUser", "a WebSocket has one set of headers for all callers");
  }
}

function checkClient(client: OAuthClient, kind: string): void {
  const { clientSecret, privateKey, issuer, tokenUrl } = client;
  const proofs = [clientSecret, privateKey].filter((one) => one !== undefined).length;
  if (proofs > 1 || (proofs === 0 && client.grant !== "authorization-code")) {
    refuseField("auth.oauth", "give exactly one of clientSecret and privateKey");
  }
  if (issuer !== undefined && tokenUrl !== undefined) {
    refuseField("auth.oauth", "give issuer or tokenUrl, not both");
  }
  // Whoever runs the server could name an authorization server of their own, and be shown the secret.
  if (clientSecret !== undefined && issuer === undefined && tokenUrl === undefined) {
    refuseField("auth.oauth", "a clientSecret needs an issuer or a tokenUrl that may see it");
  }
  if (client.secretIn !== undefined && clientSecret === undefined) {
    refuseField("auth.oauth.secretIn", "only with a clientSecret");
  }
  if (privateKey !== undefined && !privateKey.includes("-----BEGIN PRIVATE KEY-----")) {
    refuseField("auth.oauth.privateKey", "must be PEM of PKCS #8 (BEGIN PRIVATE KEY)");
  }
  if (client.grant === "authorization-code") {
    if (kind !== "streamable-http") {
      refuseField("auth.oauth.grant", "authorization-code works over streamable-http alone");
    }
    // A client is registered at one authorization server, and users are sent nowhere that its operator did not name.
    if (issuer === undefined) refuseField("auth.oauth.issuer", "authorization-code needs it");
  }
  if (client.grant === "token-exchange") {
    if (kind !== "streamable-http") {
      refuseField("auth.oauth.grant", "token-exchange works over streamable-http alone");
    }
    // The users' tokens are shown to it: it is named by the operator, never by the server.
    if (issuer === undefined && tokenUrl === undefined) {
      refuseField("auth.oauth", "token-exchange needs an issuer or a tokenUrl");
    }
  } else if (client.audience !== undefined) {
    refuseField("auth.oauth.audience", "only with token-exchange");
  }
}
