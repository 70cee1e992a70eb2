/**
 * What identity providers publish and sign, in the shape each of them has: discovery, key sets and token payloads, after
 * their documentation and tokens seen. Names are made up and keys are made here, so that the tests can sign.
 */
import { generateKeyPairSync, sign } from "node:crypto";

export type Json = Readonly<Record<string, unknown>>;

export const nowSeconds = 1_800_000_000;
const times = { iat: nowSeconds - 10, exp: nowSeconds + 3600 };
const tenantId = "8f0c0b6e-0f0e-4a52-9d0c-2f6f3a1c7e11";

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwk = { ...publicKey.export({ format: "jwk" }), kid: "test-key", use: "sig" };

export interface ProviderDocuments {
  readonly issuer: string;
  /** Of `/.well-known/openid-configuration`, as far as it matters here. */
  readonly discovery: Json;
  readonly jwks: Json;
  readonly header: Json;
  readonly accessToken: Json;
  /** Another token of the provider, signed with the same keys, that is no access token for us. */
  readonly wrongToken: Json;
}

function discoveryOf(issuer: string, jwksUri: string, more: Json = {}): Json {
  return {
    issuer,
    jwks_uri: jwksUri,
    response_types_supported: ["code", "id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    ...more,
  };
}

const keycloakIssuer = "https://sso.example/realms/agents";
const entraIssuer = `https://login.microsoftonline.com/${tenantId}/v2.0`;
const oktaIssuer = "https://dev-000001.okta.com/oauth2/default";
const auth0Issuer = "https://example.eu.auth0.com/";
const cognitoIssuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab1Cd2Ef3";
const googleIssuer = "https://accounts.google.com";

export const providerDocuments: Readonly<Record<string, ProviderDocuments>> = {
  keycloak: {
    issuer: keycloakIssuer,
    discovery: discoveryOf(keycloakIssuer, `${keycloakIssuer}/protocol/openid-connect/certs`, {
      introspection_endpoint: `${keycloakIssuer}/protocol/openid-connect/token/introspect`,
    }),
    jwks: {
      keys: [
        { ...jwk, alg: "RS256", x5c: ["MIIC"], x5t: "AAAA", "x5t#S256": "BBBB" },
        { ...jwk, kid: "enc-key", alg: "RSA-OAEP", use: "enc" },
      ],
    },
    header: { alg: "RS256", typ: "JWT", kid: "test-key" },
    accessToken: {
      ...times,
      auth_time: nowSeconds - 60,
      jti: "onrtac:5c1b0e8a-7c59-4c1b-8f0e-5a9c0a6b2f10",
      iss: keycloakIssuer,
      aud: ["https://gw.example/mcp", "account"],
      sub: "f1b1c7de-42a1-4d54-9c3e-6f0a3a0b9c11",
      typ: "Bearer",
      azp: "agent-ui",
      sid: "0b7c6f2e-5a31-4e67-9f83-1f7b5a7d0c22",
      acr: "1",
      "allowed-origins": ["https://app.example"],
      realm_access: { roles: ["offline_access", "tool-user", "default-roles-agents"] },
      resource_access: { account: { roles: ["manage-account", "view-profile"] } },
      scope: "openid profile email mcp",
      email_verified: true,
      groups: ["/engineering", "/engineering/platform"],
      preferred_username: "ada",
    },
    wrongToken: {
      ...times,
      iss: keycloakIssuer,
      aud: "https://gw.example/mcp",
      sub: "f1b1c7de-42a1-4d54-9c3e-6f0a3a0b9c11",
      typ: "ID",
      azp: "agent-ui",
    },
  },
  entra: {
    issuer: entraIssuer,
    discovery: discoveryOf(
      entraIssuer,
      `https://login.microsoftonline.com/${tenantId}/discovery/v2.0/keys`,
      { tenant_region_scope: "EU", cloud_instance_name: "microsoftonline.com" },
    ),
    jwks: { keys: [{ ...jwk, x5t: "test-key", x5c: ["MIIC"], issuer: entraIssuer }] },
    header: { typ: "JWT", alg: "RS256", kid: "test-key" },
    accessToken: {
      aud: "3f1f6a56-0a3e-4d1b-9a27-5f8c2b1d7e33",
      iss: entraIssuer,
      ...times,
      nbf: times.iat,
      aio: "AXQAi/8WAAAA",
      azp: "b3d8c1f0-1a2b-4c3d-8e4f-5a6b7c8d9e0f",
      azpacr: "1",
      name: "Ada",
      oid: "5b9e2f04-6c7d-4e8f-9a0b-1c2d3e4f5a6b",
      preferred_username: "ada@example.com",
      rh: "0.AAAA",
      roles: ["Tools.User"],
      groups: ["0d1e2f3a-4b5c-6d7e-8f9a-0b1c2d3e4f5a"],
      scp: "Mcp.Use Mcp.Read",
      sub: "pairwise-and-different-in-each-application",
      tid: tenantId,
      uti: "AbCdEfGhIjKlMnOp",
      ver: "2.0",
    },
    wrongToken: {
      aud: "3f1f6a56-0a3e-4d1b-9a27-5f8c2b1d7e33",
      iss: "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
      ...times,
      oid: "00000000-0000-0000-66f3-3332eca7ea81",
      tid: "9188040d-6c67-4c5b-b112-36a304b66dad",
      sub: "somebody with a personal account",
    },
  },
  okta: {
    issuer: oktaIssuer,
    discovery: discoveryOf(oktaIssuer, `${oktaIssuer}/v1/keys`),
    jwks: { keys: [{ ...jwk, alg: "RS256" }] },
    header: { kid: "test-key", alg: "RS256" },
    accessToken: {
      ver: 1,
      jti: "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
      iss: oktaIssuer,
      aud: "api://default",
      ...times,
      cid: "0oa1b2c3d4E5f6G7h8i9",
      uid: "00u1b2c3d4E5f6G7h8i9",
      scp: ["openid", "mcp"],
      auth_time: nowSeconds - 120,
      sub: "ada@example.com",
      groups: ["Everyone", "Platform"],
    },
    wrongToken: {
      ver: 1,
      iss: oktaIssuer,
      aud: "0oa1b2c3d4E5f6G7h8i9",
      ...times,
      sub: "00u1b2c3d4E5f6G7h8i9",
      amr: ["pwd"],
      idp: "00o1b2c3d4E5f6G7h8i9",
    },
  },
  auth0: {
    issuer: auth0Issuer,
    discovery: discoveryOf(auth0Issuer, `${auth0Issuer}.well-known/jwks.json`),
    jwks: { keys: [{ ...jwk, alg: "RS256", x5c: ["MIIC"], x5t: "AAAA" }] },
    header: { alg: "RS256", typ: "JWT", kid: "test-key" },
    accessToken: {
      "https://app.example/roles": ["tool-admin"],
      iss: auth0Issuer,
      sub: "auth0|5f7c8ec7c33c6c004bbafe82",
      aud: ["https://gw.example/mcp", "https://example.eu.auth0.com/userinfo"],
      ...times,
      azp: "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
      scope: "openid profile mcp",
      permissions: ["call:tools"],
    },
    wrongToken: {
      iss: auth0Issuer,
      sub: "auth0|5f7c8ec7c33c6c004bbafe82",
      aud: "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
      ...times,
      sid: "s",
    },
  },
  cognito: {
    issuer: cognitoIssuer,
    discovery: discoveryOf(cognitoIssuer, `${cognitoIssuer}/.well-known/jwks.json`),
    jwks: { keys: [{ ...jwk, alg: "RS256" }] },
    header: { kid: "test-key", alg: "RS256" },
    accessToken: {
      sub: "b2c5f0a4-50d1-70f2-9c1b-3e1f2a3b4c5d",
      "cognito:groups": ["tool-users"],
      iss: cognitoIssuer,
      version: 2,
      client_id: "1h57kf5cpq17m0eml12EXAMPLE",
      origin_jti: "0c1d2e3f",
      event_id: "1d2e3f4a",
      token_use: "access",
      scope: "openid mcp/use",
      auth_time: nowSeconds - 300,
      ...times,
      jti: "2e3f4a5b",
      username: "ada",
    },
    wrongToken: {
      sub: "b2c5f0a4-50d1-70f2-9c1b-3e1f2a3b4c5d",
      iss: cognitoIssuer,
      aud: "1h57kf5cpq17m0eml12EXAMPLE",
      token_use: "id",
      auth_time: nowSeconds - 300,
      ...times,
      email: "ada@example.com",
    },
  },
  google: {
    issuer: googleIssuer,
    discovery: discoveryOf(googleIssuer, "https://www.googleapis.com/oauth2/v3/certs"),
    jwks: { keys: [{ ...jwk, alg: "RS256" }] },
    header: { alg: "RS256", kid: "test-key", typ: "JWT" },
    accessToken: {
      iss: "https://accounts.google.com",
      azp: "1234987819200.apps.googleusercontent.com",
      aud: "1234987819200.apps.googleusercontent.com",
      sub: "10769150350006150715113082367",
      at_hash: "HK6E_P6Dh8Y93mRNtsDB1Q",
      hd: "example.com",
      email: "ada@example.com",
      email_verified: true,
      nonce: "0394852-3190485-2490358",
      ...times,
    },
    wrongToken: {
      iss: "https://accounts.google.com",
      azp: "1234987819200.apps.googleusercontent.com",
      aud: "1234987819200.apps.googleusercontent.com",
      sub: "10769150350006150715113082368",
      email: "somebody@gmail.com",
      email_verified: true,
      ...times,
    },
  },
};

export function documentsOf(name: string): ProviderDocuments {
  const found = providerDocuments[name];
  if (found === undefined) throw new Error(`no documents of ${name}`);
  return found;
}

/** Signed with the key that is in every provider's key set here. */
export function signToken(header: Json, payload: Json): string {
  const part = (value: Json) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${sign("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
}
