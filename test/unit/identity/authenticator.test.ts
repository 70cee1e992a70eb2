/** From credential to principal: client tokens, remembered JWTs, refusals that say nothing, revocation. */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { SignJWT } from "jose";
import type { Fault } from "../../../src/errors/fault.ts";
import {
  type AuthenticatorDeps,
  createAuthenticator,
  type DirectoryClient,
} from "../../../src/identity/authenticator.ts";
import {
  createClientToken,
  createTokenHasher,
  isClientToken,
} from "../../../src/identity/client-token.ts";
import { createJwtVerifier } from "../../../src/identity/jwt.ts";
import type { JwtClaims } from "../../../src/identity/jwt-claims.ts";
import { silentLog } from "../../../src/telemetry/log.ts";

const hashToken = createTokenHasher(randomBytes(32));
const secret = "correct-horse-battery-staple-0123456789";
const startMs = 1_800_000_000_000;

function setUp(more: Partial<AuthenticatorDeps> & { readonly tenantClaim?: string } = {}) {
  const time = { ms: 0, setBackMs: 0 };
  const clock = { nowMs: () => startMs + time.ms - time.setBackMs, monotonicMs: () => time.ms };
  const counted: string[] = [];
  const metrics = {
    count: (_name: string, labels?: Readonly<Record<string, string>>) =>
      void counted.push(labels?.reason ?? ""),
  };
  const jwt = createJwtVerifier({
    issuers: [
      {
        issuer: "i",
        audiences: ["gw"],
        algorithms: ["HS256"],
        secret,
        clockSkewSeconds: 0,
        claims: { tenant: more.tenantClaim },
      },
    ],
    dial: () => Promise.reject(new Error("nothing is dialled")),
    log: silentLog,
    clock,
  });
  const authenticator = createAuthenticator({
    hashToken,
    jwt,
    allowAnonymous: false,
    clock,
    metrics,
    ...more,
  });
  const token = createClientToken();
  const digest = hashToken(token);
  const tokens = new Map([
    [digest, { clientId: "ci", digest, expiresAtMs: undefined as number | undefined }],
  ]);
  const clients = new Map<string, DirectoryClient>([
    ["ci", { id: "ci", enabled: true, roles: ["reader"] }],
  ]);
  return { authenticator, time, counted, token, digest, directory: { tokens, clients } };
}

const bearer = (token: string) => ({ kind: "bearer", token }) as const;
const mint = (payload: object = {}) =>
  new SignJWT({
    iss: "i",
    sub: "ann",
    aud: "gw",
    exp: startMs / 1000 + 600,
    roles: ["a"],
    ...payload,
  })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(secret));
const unauthenticated = (reason: string): Fault => ({
  name: "unauthenticated",
  message: "Authentication required",
  challenge: 'error="invalid_token"',
  reason,
});

describe("A04 client tokens", () => {
  test("answered at once, with the same principal each time", () => {
    const { authenticator, token, digest, directory } = setUp();
    const principal = authenticator.authenticate(bearer(token), directory);
    expect(principal).toMatchObject({
      kind: "client",
      id: "client:ci",
      clientId: "ci",
      roles: ["reader"],
      credentialDigest: digest,
    });
    expect(authenticator.authenticate(bearer(token), directory)).toBe(principal);
    expect(isClientToken(token)).toBe(true);
    expect(token).toHaveLength(49);
  });

  test.each<[string, (token: string) => string]>([
    ["one character off", (token) => token.slice(0, -1) + (token.endsWith("A") ? "B" : "A")],
    ["cut", (token) => token.slice(0, 20)],
    ["longer", (token) => `${token}x`],
    ["other case", (token) => token.toUpperCase().replace("MCPGW_", "mcpgw_")],
  ])("AN-16 %s", (_name, change) => {
    const { authenticator, token, directory } = setUp();
    expect(authenticator.authenticate(bearer(change(token)), directory)).toEqual(
      unauthenticated("token-unknown"),
    );
  });

  test("expired, client gone, client disabled", () => {
    const { authenticator, token, digest, directory, time } = setUp();
    directory.tokens.set(digest, { clientId: "ci", digest, expiresAtMs: startMs + 10 });
    expect(authenticator.authenticate(bearer(token), directory)).toMatchObject({ kind: "client" });
    time.ms = 10;
    expect(authenticator.authenticate(bearer(token), directory)).toEqual(
      unauthenticated("token-expired"),
    );
    directory.tokens.set(digest, { clientId: "ci", digest, expiresAtMs: undefined });
    directory.clients.set("ci", { id: "ci", enabled: false, roles: [] });
    expect(authenticator.authenticate(bearer(token), directory)).toEqual(
      unauthenticated("client-disabled"),
    );
    directory.clients.clear();
    expect(authenticator.authenticate(bearer(token), directory)).toEqual(
      unauthenticated("client-unknown"),
    );
  });
});

describe("refusals", () => {
  test("no credential has no invalid_token; unusable ones count under one label (AN-02, AN-24)", () => {
    const { authenticator, directory, counted } = setUp();
    const none = authenticator.authenticate({ kind: "none" }, directory);
    expect(none).toEqual({
      name: "unauthenticated",
      message: "Authentication required",
      reason: "no-credential",
    });
    const unusable = authenticator.authenticate(
      { kind: "unusable", reason: "two-headers" },
      directory,
    );
    expect(unusable).toEqual(unauthenticated("two-headers"));
    expect(counted).toEqual(["no-credential", "credential-unusable"]);
  });

  test("anonymous only where allowed, and without roles", () => {
    const { authenticator, directory } = setUp({ allowAnonymous: true });
    expect(authenticator.authenticate({ kind: "none" }, directory)).toMatchObject({
      id: "anonymous",
      roles: [],
    });
    expect(authenticator.authenticate(bearer("x"), directory)).not.toMatchObject({
      id: "anonymous",
    });
  });

  test("AN-01 whatever throws is a refusal", async () => {
    const boom = () => {
      throw new Error("boom");
    };
    const hashing = setUp({ hashToken: boom, allowAnonymous: true });
    expect(hashing.authenticator.authenticate(bearer("x"), hashing.directory)).toEqual(
      unauthenticated("verifier-failed"),
    );
    const jwt = { issuers: [], verify: async () => boom(), recheck: boom, fits: boom };
    const verifying = setUp({ jwt, allowAnonymous: true });
    expect(await verifying.authenticator.authenticate(bearer("x"), verifying.directory)).toEqual(
      unauthenticated("verifier-failed"),
    );
  });

  test("too long, and a JWT where none is configured", async () => {
    const { authenticator, directory } = setUp({ jwt: undefined });
    expect(authenticator.authenticate(bearer("x".repeat(16_385)), directory)).toEqual(
      unauthenticated("token-malformed"),
    );
    expect(await authenticator.authenticate(bearer("a.b.c"), directory)).toEqual(
      unauthenticated("jwt-issuer-unknown"),
    );
  });
});

describe("J02 remembered JWTs", () => {
  test("the second answer is immediate and the same; roles join the client's", async () => {
    const { authenticator, directory } = setUp();
    const token = await mint({ azp: "ci" });
    const first = authenticator.authenticate(bearer(token), directory);
    expect(first).toBeInstanceOf(Promise);
    const principal = await first;
    expect(principal).toMatchObject({
      kind: "user",
      id: "user:i#ann",
      issuer: "i",
      subject: "ann",
      clientId: "ci",
      roles: ["a", "reader"],
    });
    expect(authenticator.authenticate(bearer(token), directory)).toBe(principal);
  });

  test("never beyond its expiry, nor beyond a minute without a new verification (CA-04)", async () => {
    const { authenticator, directory, time } = setUp();
    const brief = await mint({ exp: startMs / 1000 + 5 });
    const long = await mint();
    await authenticator.authenticate(bearer(brief), directory);
    await authenticator.authenticate(bearer(long), directory);
    time.ms = 5000;
    expect(authenticator.authenticate(bearer(brief), directory)).toEqual(
      unauthenticated("jwt-expired"),
    );
    time.ms = 60_000;
    const again = authenticator.authenticate(bearer(long), directory);
    expect(again).toBeInstanceOf(Promise);
    expect(await again).toMatchObject({ kind: "user" });
  });

  test("AN-09 a clock set back does not revive it", async () => {
    const { authenticator, directory, time } = setUp();
    const token = await mint({ exp: startMs / 1000 + 5 });
    const principal = await authenticator.authenticate(bearer(token), directory);
    time.ms = 6000;
    await authenticator.authenticate(bearer(token), directory);
    time.setBackMs = 3_600_000;
    expect(await authenticator.authenticate(bearer(token), directory)).toEqual(
      unauthenticated("jwt-expired"),
    );
    expect("kind" in principal && authenticator.stillValid(principal, directory)).toBe(false);
  });
});

describe("A02 AN-14 AN-15 still valid?", () => {
  test("client tokens: until revoked, disabled or expired", () => {
    const { authenticator, token, digest, directory } = setUp();
    const principal = authenticator.authenticate(bearer(token), directory);
    if (!("kind" in principal)) throw new Error("refused");
    expect(authenticator.stillValid(principal, directory)).toBe(true);
    expect(authenticator.stillValid(principal, { ...directory, tokens: new Map() })).toBe(false);
    const disabled = new Map([["ci", { id: "ci", enabled: false, roles: [] }]]);
    expect(authenticator.stillValid(principal, { ...directory, clients: disabled })).toBe(false);
    const moved = new Map([[digest, { clientId: "other", digest, expiresAtMs: undefined }]]);
    expect(authenticator.stillValid(principal, { ...directory, tokens: moved })).toBe(false);
  });

  test("JWTs: until expired; principals made elsewhere never", async () => {
    const { authenticator, directory, time } = setUp();
    const principal = await authenticator.authenticate(bearer(await mint()), directory);
    if (!("kind" in principal)) throw new Error("refused");
    expect(authenticator.stillValid(principal, directory)).toBe(true);
    expect(authenticator.stillValid({ ...principal }, directory)).toBe(false);
    time.ms = 600_000;
    expect(authenticator.stillValid(principal, directory)).toBe(false);
  });
});

describe("AN-14 what operators revoked", () => {
  test("a revoked token is refused at once, remembered or not, and what it opened no longer holds", async () => {
    const { authenticator, directory } = setUp();
    const token = await mint({ jti: "t1", iat: startMs / 1000 });
    const principal = await authenticator.authenticate(bearer(token), directory);
    if (!("kind" in principal)) throw new Error("refused");
    const revoked = (tokenIds: string[], subjects: [string, number][]) => ({
      ...directory,
      revocations: new Map([["i", { tokenIds: new Set(tokenIds), subjects: new Map(subjects) }]]),
    });
    for (const state of [revoked(["t1"], []), revoked([], [["ann", startMs]])]) {
      expect(authenticator.authenticate(bearer(token), state)).toEqual(
        unauthenticated("token-revoked"),
      );
      expect(authenticator.stillValid(principal, state)).toBe(false);
    }
    const others = revoked(["t2"], [["ann", startMs - 1]]);
    expect(authenticator.authenticate(bearer(token), others)).toBe(principal);
    expect(authenticator.stillValid(principal, others)).toBe(true);
  });
});

describe("J11 what a token says beside roles", () => {
  test("scopes, acr, amr, auth_time and claims reach the principal; client tokens know no scopes", async () => {
    const { authenticator, directory, token } = setUp();
    const found = await authenticator.authenticate(
      bearer(await mint({ scope: "a b", acr: "gold", amr: ["otp"], auth_time: 1_700_000_000 })),
      directory,
    );
    expect(found).toMatchObject({
      scopes: ["a", "b"],
      acr: "gold",
      amr: ["otp"],
      authenticatedAtMs: 1_700_000_000_000,
      claims: { scope: "a b", sub: "ann" },
    });
    expect(authenticator.authenticate(bearer(token), directory)).toMatchObject({
      scopes: undefined,
      claims: undefined,
    });
  });
});

describe("J13 tokens that the issuer is asked about", () => {
  function setUpAsked() {
    const claims: JwtClaims = {
      ...{ issuer: "i", subject: "ann", clientId: undefined, tenant: undefined },
      ...{ workspace: undefined, roles: [], groups: [], scopes: [], acr: undefined, amr: [] },
      ...{ authenticatedAtMs: undefined, tokenId: undefined, issuedAtMs: undefined },
      ...{ resources: undefined, payload: {}, notBeforeMs: 0, expiresAtMs: startMs * 2 },
    };
    const state = { isFresh: true, stands: true, verified: 0, roles: [] as string[] };
    const jwt = {
      issuers: ["i"],
      verify: async () => {
        state.verified += 1;
        const word = { isFresh: () => state.isFresh, stands: () => state.stands };
        const own = { ...claims, roles: state.roles, payload: { roles: [...state.roles] } };
        return { claims: own, keyName: undefined, word };
      },
      recheck: () => (state.stands ? undefined : ("token-inactive" as const)),
      fits: () => true,
    };
    return { state, ...setUp({ jwt }) };
  }

  test("the memory is not asked once the issuer's word is old", async () => {
    const { state, authenticator, directory } = setUpAsked();
    const first = await authenticator.authenticate(bearer("opaque"), directory);
    expect(authenticator.authenticate(bearer("opaque"), directory)).toBe(first);
    state.isFresh = false;
    expect(await authenticator.authenticate(bearer("opaque"), directory)).toBe(first);
    expect(state.verified).toBe(2);
    state.roles = ["new"];
    expect(await authenticator.authenticate(bearer("opaque"), directory)).toMatchObject({
      roles: ["new"],
    });
  });

  test("AN-14 a word taken back ends what is open", async () => {
    const { state, authenticator, directory } = setUpAsked();
    const principal = await authenticator.authenticate(bearer("opaque"), directory);
    if (!("kind" in principal)) throw new Error("refused");
    state.isFresh = false;
    expect(authenticator.stillValid(principal, directory)).toBe(true);
    state.stands = false;
    expect(authenticator.stillValid(principal, directory)).toBe(false);
  });
});

test("AN-08 a token for one endpoint is refused at another, also from memory", async () => {
  const { authenticator, directory } = setUp({
    jwt: createJwtVerifier({
      issuers: [{ issuer: "i", audience: "resource", algorithms: ["HS256"], secret }],
      publicUrl: "https://GW.example/",
      dial: () => Promise.reject(new Error("nothing is dialled")),
      clock: { nowMs: () => startMs, monotonicMs: () => 0 },
      log: silentLog,
    }),
  });
  const token = await mint({ aud: "https://gw.example/notes/mcp" });
  const at = (scope: string, binding: "http" | "websocket" = "http") =>
    authenticator.authenticate(bearer(token), directory, { binding, scope });
  expect(await at("notes")).toMatchObject({ kind: "user" });
  for (const refused of [at("mail"), at("all"), at("notes", "websocket")]) {
    expect(await refused).toEqual(unauthenticated("jwt-audience"));
  }
  expect(await authenticator.authenticate(bearer(token), directory)).toEqual(
    unauthenticated("jwt-audience"),
  );
  expect(await at("notes")).toMatchObject({ kind: "user" });
});

describe("P17, J11: whose principals they are", () => {
  const ciOf = (tenant: string | undefined): DirectoryClient => ({
    id: "ci",
    enabled: true,
    roles: [],
    tenant,
  });

  test("a client token's is its client's tenant, and what it opened ends when that changes", () => {
    const { authenticator, token, directory } = setUp();
    directory.clients.set("ci", ciOf("a"));
    const principal = authenticator.authenticate(bearer(token), directory);
    if (!("kind" in principal)) throw new Error("should have been let in");
    expect(principal).toMatchObject({ kind: "client", tenant: "a" });
    expect(authenticator.stillValid(principal, directory)).toBe(true);
    for (const other of ["A", "a:b", undefined]) {
      directory.clients.set("ci", ciOf(other));
      expect(authenticator.stillValid(principal, directory)).toBe(false);
      const next = authenticator.authenticate(bearer(token), directory);
      expect(next).toMatchObject({ kind: "client", tenant: other });
    }
  });

  test.each<[string, string | undefined, string | undefined, string | undefined]>([
    ["the token's, of a client without one", "a", undefined, "a"],
    ["the client's, where the token names none", undefined, "a", "a"],
    ["both's, where they agree", "a", "a", "a"],
    ["none", undefined, undefined, undefined],
  ])("a JWT's: %s", async (_name, claimed, registered, tenant) => {
    const { authenticator, directory } = setUp(claimed === undefined ? {} : { tenantClaim: "org" });
    directory.clients.set("ci", ciOf(registered));
    const token = await mint({ azp: "ci", org: claimed });
    const principal = await authenticator.authenticate(bearer(token), directory);
    if (!("kind" in principal)) throw new Error("should have been let in");
    expect(principal.tenant).toBe(tenant);
    expect(authenticator.stillValid(principal, directory)).toBe(true);
    directory.clients.set("ci", ciOf("elsewhere"));
    expect(authenticator.stillValid(principal, directory)).toBe(false);
  });

  test.each(["a:b", "A", "a "])(
    "AZ-15: a JWT of %j by a client of a is refused, remembered or not",
    async (org) => {
      const { authenticator, directory } = setUp({ tenantClaim: "org" });
      const token = await mint({ azp: "ci", org });
      directory.clients.set("ci", ciOf("a"));
      const refused = unauthenticated("client-tenant");
      expect(await authenticator.authenticate(bearer(token), directory)).toEqual(refused);
      expect(await authenticator.authenticate(bearer(token), directory)).toEqual(refused);
      directory.clients.set("ci", ciOf(org));
      expect(await authenticator.authenticate(bearer(token), directory)).toMatchObject({
        tenant: org,
      });
    },
  );
});
