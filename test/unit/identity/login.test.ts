import { beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { createLogins, type LoginIssuer } from "../../../src/identity/login.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { silentLog } from "../../../src/telemetry/log.ts";

const issuer = "https://login.example";
const redirectUri = "https://gateway.example/consent/login";
let pair: Awaited<ReturnType<typeof generateKeyPair>>;
let jwk: object;
beforeAll(async () => {
  pair = await generateKeyPair("ES256", { extractable: true });
  jwk = { ...(await exportJWK(pair.publicKey)), kid: "k", alg: "ES256", use: "sig" };
});

interface Asked {
  readonly url: string;
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
}

/** Logins at an issuer whose metadata and ID token the test makes. */
function setUp(
  changes: {
    readonly metadata?: object;
    readonly config?: Partial<LoginIssuer["issuer"]>;
    readonly token?: (nonce: string) => Promise<string | undefined>;
  } = {},
) {
  const asked: Asked[] = [];
  let nonce = "";
  const logins = createLogins({
    issuers: [
      {
        issuer: {
          issuer,
          audiences: ["https://gateway.example"],
          algorithms: ["ES256"],
          ...changes.config,
        },
        login: { clientId: "gateway", clientSecret: "secret", scopes: ["openid"] },
      },
    ],
    clock: systemClock,
    log: silentLog,
    async dial(url, { headers, body }) {
      const authorization = headers.authorization;
      asked.push({ url, form: new URLSearchParams(body), authorization });
      const answer = (value: object) => ({ status: 200, text: JSON.stringify(value) });
      if (url.endsWith("/.well-known/openid-configuration")) {
        return answer({
          issuer,
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          authorization_response_iss_parameter_supported: true,
          ...changes.metadata,
        });
      }
      if (url.endsWith("/jwks")) return answer({ keys: [jwk] });
      return answer({ id_token: await (changes.token ?? signed())(nonce) });
    },
  });
  const finish = async (params: Record<string, string> = {}) => {
    const begun = await logins.begin(issuer, redirectUri, "the state");
    nonce = begun.nonce;
    const all = new URLSearchParams({ code: "c", iss: issuer, ...params });
    return logins.finish(begun, redirectUri, all).catch((error: Error) => error.message);
  };
  return { logins, asked, finish };
}

/** An ID token as it should be, but for these claims. */
function signed(claims: JWTPayload = {}, key?: CryptoKey) {
  return (nonce: string) =>
    new SignJWT({ sub: "ada", aud: "gateway", iss: issuer, nonce, ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(key ?? pair.privateKey);
}

describe("logging in", () => {
  test("sends the user to their issuer with PKCE, nonce and state, and names who came back", async () => {
    const { logins, asked, finish } = setUp();
    const { url, verifier, nonce } = await logins.begin(issuer, redirectUri, "the state");
    expect(Object.fromEntries(new URL(url).searchParams)).toMatchObject({
      response_type: "code",
      client_id: "gateway",
      redirect_uri: redirectUri,
      scope: "openid",
      state: "the state",
      nonce,
      code_challenge_method: "S256",
    });
    expect(verifier).toMatch(/^[\w-]{64}$/);
    expect(await finish()).toBe(`user:${issuer}#ada`);
    const exchange = asked.find((one) => one.url === `${issuer}/token`);
    expect(exchange?.form.get("grant_type")).toBe("authorization_code");
    expect(exchange?.form.get("redirect_uri")).toBe(redirectUri);
    expect(exchange?.authorization).toBe(`Basic ${btoa("gateway:secret")}`);
    expect(logins.has(issuer)).toBe(true);
    expect(logins.has("https://elsewhere.example")).toBe(false);
  });

  test("the subject is the claim that names callers, whatever else the issuer's access tokens must hold", async () => {
    const config = {
      claims: { subject: "oid", tenant: "tid", roles: "r" },
      requiredClaims: [{ claim: "token_use", values: ["access"] }],
    };
    const { finish } = setUp({ config, token: signed({ oid: "object-1" }) });
    expect(await finish()).toBe(`user:${issuer}#object-1`);
  });

  test.each([
    ["of another login", { nonce: "another" }, "is of another login"],
    ["without a nonce", { nonce: undefined }, "is of another login"],
    ["for another client", { aud: "another" }, "refused: jwt-audience"],
    ["meant for another client", { aud: ["gateway", "x"], azp: "x" }, "is for another client"],
    ["of another issuer", { iss: "https://evil.example" }, "refused: jwt-issuer-unknown"],
    ["without a subject", { sub: undefined }, "refused: jwt-claims"],
  ])("an ID token %s logs nobody in", async (_, claims, words) => {
    expect(await setUp({ token: signed(claims) }).finish()).toContain(words);
  });

  test("nor does one signed by another key, an unsigned one, or none", async () => {
    const other = await generateKeyPair("ES256");
    expect(await setUp({ token: signed({}, other.privateKey) }).finish()).toContain(
      "jwt-signature",
    );
    const none = `${btoa('{"alg":"none"}')}.${btoa("{}")}.`;
    expect(await setUp({ token: async () => none }).finish()).toContain("refused");
    expect(await setUp({ token: async () => undefined }).finish()).toContain("no ID token");
  });

  test("UP-11 another issuer's answer, or one that names none though it promised to, is not looked at", async () => {
    const { finish, asked } = setUp();
    expect(await finish({ iss: "https://evil.example" })).toBe("another issuer answered");
    const error = await finish({ iss: "https://evil.example", error: "access_denied" });
    expect(error).toBe("another issuer answered");
    expect(await finish({ error: "access_denied" })).toBe("the login was not completed");
    expect(asked.some(({ url }) => url.endsWith("/token"))).toBe(false);
    const lax = setUp({ metadata: { authorization_response_iss_parameter_supported: false } });
    expect(await lax.finish({ iss: "https://evil.example" })).toBe("another issuer answered");
  });

  test("metadata of another issuer, or with a page that is none, lead nowhere", async () => {
    for (const metadata of [
      { issuer: "https://evil.example" },
      { authorization_endpoint: "javascript:alert(1)" },
      { token_endpoint: undefined },
    ]) {
      const why = await setUp({ metadata })
        .finish()
        .catch((error: Error) => error.message);
      expect(why).toContain("the metadata");
    }
  });

  test("a login needs algorithms and one proof of the client", () => {
    const login = { clientId: "gateway", scopes: ["openid"] };
    const create = (one: LoginIssuer) => () =>
      createLogins({
        issuers: [one],
        clock: systemClock,
        log: silentLog,
        dial: () => Promise.reject(new Error("asked")),
      });
    const audiences = ["a"];
    const clientSecret = "secret";
    expect(create({ issuer: { issuer, audiences }, login: { ...login, clientSecret } })).toThrow(
      "needs algorithms",
    );
    expect(create({ issuer: { issuer, audiences, algorithms: ["ES256"] }, login })).toThrow(
      "exactly one of client_secret and private_key_file",
    );
  });
});
