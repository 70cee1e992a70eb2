/**
 * Identity providers' quirks, each against documents of that provider's shape (`test/support/provider-documents.ts`):
 * discovery, keys, an access token, and another token that must not do.
 */
import { describe, expect, test } from "bun:test";
import { createJwtVerifier } from "../../../../src/identity/jwt.ts";
import type { JwtIssuerConfig } from "../../../../src/identity/jwt-issuer-config.ts";
import { applyProvider } from "../../../../src/identity/providers/apply.ts";
import { silentLog } from "../../../../src/telemetry/log.ts";
import {
  documentsOf,
  type Json,
  nowSeconds,
  signToken,
} from "../../../support/provider-documents.ts";

const clock = { nowMs: () => nowSeconds * 1000, monotonicMs: () => 0 };

interface Case {
  readonly provider: string;
  readonly config: JwtIssuerConfig;
  readonly expected: Json;
  readonly wrong: string;
}

const cases: readonly Case[] = [
  {
    provider: "keycloak",
    config: {
      keycloakUrl: "https://sso.example/",
      realm: "agents",
      audiences: ["https://gw.example/mcp"],
    },
    expected: {
      subject: "f1b1c7de-42a1-4d54-9c3e-6f0a3a0b9c11",
      clientId: "agent-ui",
      roles: ["offline_access", "tool-user", "default-roles-agents"],
      groups: ["/engineering", "/engineering/platform"],
      scopes: ["openid", "profile", "email", "mcp"],
      acr: "1",
      authenticatedAtMs: (nowSeconds - 60) * 1000,
    },
    wrong: "jwt-claim-required",
  },
  {
    provider: "entra",
    config: {
      provider: "entra",
      issuer: documentsOf("entra").issuer,
      audiences: ["3f1f6a56-0a3e-4d1b-9a27-5f8c2b1d7e33"],
    },
    expected: {
      subject: "5b9e2f04-6c7d-4e8f-9a0b-1c2d3e4f5a6b",
      clientId: "b3d8c1f0-1a2b-4c3d-8e4f-5a6b7c8d9e0f",
      roles: ["Tools.User"],
      groups: ["0d1e2f3a-4b5c-6d7e-8f9a-0b1c2d3e4f5a"],
      scopes: ["Mcp.Use", "Mcp.Read"],
      tenant: undefined,
    },
    wrong: "jwt-issuer-unknown",
  },
  {
    provider: "okta",
    config: { provider: "okta", issuer: documentsOf("okta").issuer, audiences: ["api://default"] },
    expected: {
      subject: "ada@example.com",
      clientId: "0oa1b2c3d4E5f6G7h8i9",
      groups: ["Everyone", "Platform"],
      scopes: ["openid", "mcp"],
      tokenId: "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
    },
    wrong: "jwt-audience",
  },
  {
    provider: "auth0",
    config: {
      provider: "auth0",
      issuer: documentsOf("auth0").issuer,
      audiences: ["https://gw.example/mcp"],
      claims: { groups: "https://app.example/roles" },
    },
    expected: {
      subject: "auth0|5f7c8ec7c33c6c004bbafe82",
      roles: ["call:tools"],
      groups: ["tool-admin"],
      scopes: ["openid", "profile", "mcp"],
    },
    wrong: "jwt-audience",
  },
  {
    provider: "cognito",
    config: {
      provider: "cognito",
      issuer: documentsOf("cognito").issuer,
      audiences: ["1h57kf5cpq17m0eml12EXAMPLE"],
    },
    expected: {
      subject: "b2c5f0a4-50d1-70f2-9c1b-3e1f2a3b4c5d",
      clientId: "1h57kf5cpq17m0eml12EXAMPLE",
      roles: ["tool-users"],
      groups: ["tool-users"],
      scopes: ["openid", "mcp/use"],
    },
    wrong: "jwt-claim-required",
  },
  {
    provider: "google",
    config: {
      provider: "google",
      issuer: "https://accounts.google.com",
      audiences: ["1234987819200.apps.googleusercontent.com"],
      requiredClaims: [{ claim: "hd", values: ["example.com"] }],
      claims: { tenant: "hd" },
    },
    expected: { subject: "10769150350006150715113082367", tenant: "example.com", scopes: [] },
    wrong: "jwt-claim-required",
  },
];

/** A verifier before a network that has the provider's key set, and what was asked there. */
function verifierFor(provider: string, config: JwtIssuerConfig) {
  const asked: string[] = [];
  const verifier = createJwtVerifier({
    issuers: [config],
    async dial(url) {
      asked.push(url);
      return { status: 200, text: JSON.stringify(documentsOf(provider).jwks) };
    },
    clock,
    log: silentLog,
  });
  return { asked, verify: (token: string) => verifier.verify(token, token) };
}

describe.each(cases)("$provider", ({ provider, config, expected, wrong }) => {
  const { header, accessToken, wrongToken, discovery } = documentsOf(provider);

  test("its access token is read, with keys from where its discovery says", async () => {
    const { asked, verify } = verifierFor(provider, config);
    const verified = await verify(signToken(header, accessToken));
    expect(verified).toMatchObject({ claims: { issuer: discovery.issuer, ...expected } });
    expect(asked).toEqual([String(discovery.jwks_uri)]);
  });

  test("another of its tokens is refused", async () => {
    const { verify } = verifierFor(provider, config);
    expect(await verify(signToken(header, wrongToken))).toBe(wrong as never);
  });

  test("an issuer that is none of its is refused at the start", () => {
    const { keycloakUrl, realm, ...rest } = config;
    const other = { ...rest, provider, issuer: "https://idp.example/x/y?z" };
    expect(() => applyProvider(other)).toThrow("is not one of");
  });
});

describe("A13 Keycloak", () => {
  test("address and realm say issuer and keys, with or without a slash", () => {
    for (const keycloakUrl of ["https://sso.example/auth", "https://sso.example/auth/"]) {
      expect(applyProvider({ keycloakUrl, realm: "r", audiences: ["a"] })).toMatchObject({
        issuer: "https://sso.example/auth/realms/r",
        jwksUrl: "https://sso.example/auth/realms/r/protocol/openid-connect/certs",
        algorithms: ["RS256"],
      });
    }
  });

  test("behind a proxy the issuer is the outer address, and the keys are at the inner one", () => {
    const issuer = "https://sso.example/realms/r";
    expect(
      applyProvider({ keycloakUrl: "http://keycloak:8080", realm: "r", issuer }),
    ).toMatchObject({
      issuer,
      jwksUrl: "http://keycloak:8080/realms/r/protocol/openid-connect/certs",
    });
  });

  test("half of it, or of another provider, is refused", () => {
    expect(() => applyProvider({ keycloakUrl: "https://k" })).toThrow("go together");
    expect(() => applyProvider({ keycloakUrl: "https://k", realm: "a/b" })).toThrow("segment");
    const mixed = { keycloakUrl: "https://k", realm: "r", provider: "okta" };
    expect(() => applyProvider(mixed)).toThrow("does not go with");
  });
});

describe("Entra", () => {
  const config = cases.find(({ provider }) => provider === "entra")?.config ?? {};
  const { header, accessToken } = documentsOf("entra");

  test.each([
    ["_claim_names", { groups: undefined, _claim_names: { groups: "src1" } }],
    ["hasgroups", { groups: undefined, hasgroups: true }],
  ])(
    "groups that are too many for the token (%s) refuse it, or are ignored by name",
    async (_name, more) => {
      const token = signToken(header, { ...accessToken, ...more });
      expect(await verifierFor("entra", config).verify(token)).toBe("jwt-groups-elsewhere");
      const ignoring = { ...config, groupsOverage: "ignore" } as const;
      expect(await verifierFor("entra", ignoring).verify(token)).toMatchObject({
        claims: { groups: [] },
      });
    },
  );

  test("version 1 has another issuer and the client in appid", async () => {
    const issuer = "https://sts.windows.net/8f0c0b6e-0f0e-4a52-9d0c-2f6f3a1c7e11/";
    const { azp: _, ...rest } = accessToken;
    const v1 = { ...rest, iss: issuer, ver: "1.0", appid: "app-1", acr: "1", amr: ["pwd", "mfa"] };
    const { asked, verify } = verifierFor("entra", { ...config, issuer });
    expect(await verify(signToken(header, v1))).toMatchObject({
      claims: { clientId: "app-1", acr: "1", amr: ["pwd", "mfa"] },
    });
    expect(asked).toEqual([String(documentsOf("entra").discovery.jwks_uri)]);
  });

  test("an application's own token has no scopes, and its roles", async () => {
    const { scp: _, groups: __, ...rest } = accessToken;
    const token = signToken(header, { ...rest, idtyp: "app" });
    expect(await verifierFor("entra", config).verify(token)).toMatchObject({
      claims: { scopes: [], roles: ["Tools.User"] },
    });
  });

  test("the issuer of all tenants is none", () => {
    const issuer = "https://login.microsoftonline.com/common/v2.0";
    expect(() => applyProvider({ ...config, issuer })).toThrow("is not one of");
  });
});

describe("Cognito", () => {
  const config = cases.find(({ provider }) => provider === "cognito")?.config ?? {};
  const { header, accessToken } = documentsOf("cognito");
  const verify = (more: Json) =>
    verifierFor("cognito", config).verify(signToken(header, { ...accessToken, ...more }));

  test("AN-08 another app client's token is refused, and a token for a resource goes by that", async () => {
    expect(await verify({ client_id: "another" })).toBe("jwt-audience");
    expect(await verify({ aud: "https://other.example" })).toBe("jwt-audience");
    expect(await verify({ client_id: undefined })).toBe("jwt-audience");
  });
});

describe("Google", () => {
  const config = cases.find(({ provider }) => provider === "google")?.config ?? {};
  const { header, accessToken } = documentsOf("google");

  test("its other spelling of iss is the same issuer", async () => {
    const token = signToken(header, { ...accessToken, iss: "accounts.google.com" });
    expect(await verifierFor("google", config).verify(token)).toMatchObject({
      claims: { issuer: "https://accounts.google.com" },
    });
  });

  test("without named domains it is refused at the start", () => {
    expect(() => applyProvider({ ...config, requiredClaims: [] })).toThrow('restrict "hd"');
  });
});

test("an unknown provider is refused with those that are known", () => {
  expect(() => applyProvider({ provider: "toString", issuer: "https://x" })).toThrow(
    "must be one of keycloak, entra, okta, auth0, cognito, google",
  );
});
