/** F05, F06: one issuer from the environment, by the names of earlier gateways. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toIssuers } from "../../../src/compose/options.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { checkIssuer } from "../../../src/identity/jwt-issuer.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const folder = temporaryFolder("issuer-environment");
afterAll(() => folder[Symbol.asyncDispose]());
const secret = "9f2d6c0b8a1e4f7355d1b06c2e8a94f07b3c5d1e";
const named = { JWT_ISSUER: "https://as.example", JWT_AUDIENCE: "gw, other" };

function issuersOf(environment: Readonly<Record<string, string>>, file?: string) {
  return toIssuers(loadConfig({ file }, environment).identity.jwt.issuers);
}
const refusal = (environment: Readonly<Record<string, string>>) => {
  try {
    issuersOf(environment);
    return "accepted";
  } catch (error) {
    return String(error);
  }
};

test("J03 to J09 by their names", () => {
  const [issuer] = issuersOf({
    ...named,
    JWT_ALGORITHM: "HS256",
    JWT_SECRET_KEY: secret,
    JWT_MAX_TOKEN_AGE_MINUTES: "0",
    JWT_CLOCK_SKEW_SECONDS: "5",
    JWT_USER_ID_CLAIM: "uid",
    JWT_EXP_CLAIM: "expires",
    JWT_IAT_CLAIM: "made",
    JWT_TENANT_CLAIM: "workspace",
    JWT_API_VERSION_CLAIM: "ver",
    JWT_ALLOWED_API_VERSIONS: "1,2",
  });
  expect(checkIssuer(issuer ?? {})).toMatchObject({
    issuer: "https://as.example",
    audience: { kind: "listed", values: new Set(["gw", "other"]) },
    algorithms: ["HS256"],
    clockSkewSeconds: 5,
    maxAgeSeconds: undefined,
    requiredClaims: [{ claim: "ver", values: ["1", "2"] }],
    claims: { subject: "uid", expiry: "expires", issuedAt: "made", tenant: "workspace" },
  });
});

test("the secret from a file", () => {
  const path = join(folder.path, "secret");
  writeFileSync(path, `${secret}\n`);
  chmodSync(path, 0o600);
  const [issuer] = issuersOf({ ...named, JWT_ALGORITHM: "HS256", JWT_SECRET_KEY_FILE: path });
  expect(issuer?.secret).toBe(secret);
});

test("A13 Keycloak by its address, with its realm or the usual one", () => {
  const keycloak = { KEYCLOAK_URL: "https://sso.example", JWT_AUDIENCE: "gw" };
  const issuers = [...issuersOf(keycloak), ...issuersOf({ ...keycloak, KEYCLOAK_REALM: "main" })];
  expect(issuers.map((one) => checkIssuer(one).issuer)).toEqual([
    "https://sso.example/realms/mcp-gateway",
    "https://sso.example/realms/main",
  ]);
});

test("it joins those of the file", () => {
  const path = join(folder.path, "gateway.yaml");
  writeFileSync(
    path,
    "identity: {jwt: {issuers: [{issuer: 'https://a', audiences: [a], algorithms: [RS256]}]}}\n",
  );
  const joined = issuersOf({ ...named, JWT_ALGORITHM: "RS256" }, path);
  expect(joined.map(({ issuer }) => issuer)).toEqual(["https://a", "https://as.example"]);
});

describe("refused, with the variable's name", () => {
  test.each<[string, Readonly<Record<string, string>>, string]>([
    ["J05 no audience", { JWT_ISSUER: "https://a", JWT_ALGORITHM: "RS256" }, "give audiences"],
    ["J04 none", { ...named, JWT_ALGORITHM: "none" }, "JWT_ALGORITHM"],
    [
      "J07 a skew beyond 30",
      { ...named, JWT_ALGORITHM: "RS256", JWT_CLOCK_SKEW_SECONDS: "60" },
      "JWT_CLOCK_SKEW_SECONDS",
    ],
    [
      "J06 an age that is no number",
      { ...named, JWT_ALGORITHM: "RS256", JWT_MAX_TOKEN_AGE_MINUTES: "long" },
      "JWT_MAX_TOKEN_AGE_MINUTES",
    ],
    [
      "AN-22 a short secret",
      { ...named, JWT_ALGORITHM: "HS256", JWT_SECRET_KEY: "short" },
      "JWT_SECRET_KEY: refused (weak-secret)",
    ],
    [
      "AN-22 a secret out of documentation",
      { ...named, JWT_ALGORITHM: "HS256", JWT_SECRET_KEY: "your-256-bit-secret-0123456789abcdef" },
      "stands in documentation",
    ],
    [
      "keys over plain http",
      { ...named, JWT_ALGORITHM: "RS256", JWKS_URL: "http://as.example/keys" },
      "JWKS_URL: refused (plain-http-keys)",
    ],
  ])("%s", (_name, environment, want) => {
    expect(refusal(environment)).toContain(want);
  });
});

test("without an issuer they do nothing, and say so", () => {
  const config = loadConfig({}, { JWT_SECRET_KEY: "changeme" });
  expect(config.identity.jwt.issuers).toEqual([]);
  expect(config.warnings).toEqual([
    "JWT_SECRET_KEY is not used without JWT_ISSUER or KEYCLOAK_URL",
  ]);
});
