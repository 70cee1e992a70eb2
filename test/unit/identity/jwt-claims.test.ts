/** Claims of a verified payload, row by row of the requirements (J06 to J11), and their types (faults AN-09, AN-10). */
import { describe, expect, test } from "bun:test";
import { readClaims } from "../../../src/identity/jwt-claims.ts";
import { checkIssuer } from "../../../src/identity/jwt-issuer.ts";
import type { JwtIssuerConfig } from "../../../src/identity/jwt-issuer-config.ts";

const now = 1_800_000_000;
const good = { sub: "ann", aud: "gw", exp: now + 600, iat: now };
const base: JwtIssuerConfig = {
  issuer: "https://i",
  audiences: ["gw"],
  algorithms: ["RS256"],
  jwksFile: "x",
  clockSkewSeconds: 0,
};
const read = (more: object, config: Partial<JwtIssuerConfig> = {}) =>
  readClaims({ ...good, ...more }, checkIssuer({ ...base, ...config }));

describe("J06 maximum age", () => {
  test("without iat refused, unless any age is allowed", () => {
    expect(read({ iat: undefined }, { maxAgeMinutes: 5 })).toBe("jwt-too-old");
    expect(read({ iat: undefined }, { maxAgeMinutes: 0 })).toMatchObject({ subject: "ann" });
    expect(read({ iat: undefined })).toMatchObject({ issuedAtMs: undefined });
  });

  test("the earlier of expiry and age ends it", () => {
    const aged = { maxAgeMinutes: 5 };
    expect(read({ iat: now - 60 }, aged)).toMatchObject({ expiresAtMs: (now + 240) * 1000 });
    expect(read({ exp: now + 30 }, aged)).toMatchObject({ expiresAtMs: (now + 30) * 1000 });
  });
});

describe("J08 claims under other names", () => {
  const claims = { subject: "user.id", expiry: "valid.until", issuedAt: "made", tenant: "org" };

  test("expiry and time of issue", () => {
    const payload = { user: { id: "bo" }, valid: { until: now + 60 }, made: now - 60, org: "acme" };
    expect(read({ ...payload, exp: undefined, iat: undefined }, { claims })).toMatchObject({
      subject: "bo",
      tenant: "acme",
      expiresAtMs: (now + 60) * 1000,
      issuedAtMs: (now - 60) * 1000,
    });
  });

  test("the usual names then mean nothing", () => {
    expect(read({ user: { id: "bo" }, made: now, org: "acme" }, { claims })).toBe("jwt-claims");
  });
});

describe("J09 claims that must have one of some values", () => {
  const requiredClaims = [{ claim: "v", values: ["1", "2"] }];
  test.each<[unknown, boolean]>([
    ["1", true],
    [2, true],
    [["0", "2"], true],
    ["3", false],
    [1.5, false],
    [undefined, false],
    [null, false],
    [{ v: "1" }, false],
    [[], false],
    [true, false],
  ])("version %p", (v, isAccepted) => {
    const found = read({ v }, { requiredClaims });
    expect(found === "jwt-claim-required").toBe(!isAccepted);
  });
});

describe("J10 J11 who somebody is", () => {
  test("everything a token says, with its own types", () => {
    const payload = {
      ...{ jti: "t1", azp: "web", roles: ["r"], groups: ["g"], scope: "mcp notes", acr: "gold" },
      ...{ amr: ["pwd", "otp"], auth_time: now - 5, ws: "w1", org: "acme" },
    };
    expect(read(payload, { claims: { workspace: "ws", tenant: "org" } })).toEqual({
      issuer: "https://i",
      subject: "ann",
      clientId: "web",
      tenant: "acme",
      workspace: "w1",
      roles: ["r"],
      groups: ["g"],
      scopes: ["mcp", "notes"],
      acr: "gold",
      amr: ["pwd", "otp"],
      authenticatedAtMs: (now - 5) * 1000,
      tokenId: "t1",
      issuedAtMs: now * 1000,
      resources: undefined,
      payload: { ...good, ...payload },
      notBeforeMs: now * 1000,
      expiresAtMs: (now + 600) * 1000,
    });
  });

  test("scp as text or list, and scope first", () => {
    expect(read({ scp: ["a", "b"] })).toMatchObject({ scopes: ["a", "b"] });
    expect(read({ scp: "a b" })).toMatchObject({ scopes: ["a", "b"] });
    expect(read({ scope: "x", scp: "a" })).toMatchObject({ scopes: ["x"] });
  });

  test.each<[string, object]>([
    ["acr a number", { acr: 1 }],
    ["amr text", { amr: "pwd" }],
    ["auth_time text", { auth_time: "yesterday" }],
    ["auth_time negative", { auth_time: -1 }],
    ["jti a number", { jti: 7 }],
    ["jti of 10 KiB", { jti: "j".repeat(10_240) }],
    ["scope a number", { scope: 7 }],
    ["a workspace that is missing", {}],
    ["a workspace that is a list", { ws: ["w1"] }],
    ["roles that are too many", { ws: "w", roles: Array(257).fill("r") }],
  ])("AN-10 %s", (_name, more) => {
    const config =
      "ws" in more || _name.includes("workspace") ? { claims: { workspace: "ws" } } : {};
    expect(read(more, config)).toBe("jwt-claims");
  });
});
