/** JWT verification: what passes, and everything that must not (faults AN-03 to AN-11, AN-20). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, SignJWT } from "jose";
import { createJwtVerifier, type JwtVerifier } from "../../../src/identity/jwt.ts";
import type { JwtIssuerConfig } from "../../../src/identity/jwt-issuer-config.ts";
import { silentLog } from "../../../src/telemetry/log.ts";

const nowSeconds = 1_800_000_000;
let skipMs = 0;
let setBackMs = 0;
const clock = { nowMs: () => nowSeconds * 1000 + skipMs - setBackMs, monotonicMs: () => skipMs };
const secret = "correct-horse-battery-staple-0123456789-correct-horse-battery-staple";
const audience = "https://gw.example/mcp";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

const hs: JwtIssuerConfig = {
  issuer: "https://hs",
  audiences: [audience],
  algorithms: ["HS256"],
  secret,
};
const claims = {
  iss: "https://hs",
  sub: "ann",
  aud: audience,
  exp: nowSeconds + 60,
  iat: nowSeconds,
};

let directory = "";
let verifier: JwtVerifier;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "jwks-"));
  const jwk = async (key: KeyObject, kid: string, more = {}) => ({
    ...(await exportJWK(key)),
    kid,
    ...more,
  });
  const pk = [
    await jwk(rsa.publicKey, "rsa"),
    await jwk(ec.publicKey, "ec", { use: "sig" }),
    await jwk(ed.publicKey, "ed"),
    await jwk(rsa.publicKey, "twice"),
    await jwk(otherRsa.publicKey, "twice"),
    await jwk(ec.publicKey, "for-encryption", { use: "enc" }),
    { kty: "oct", k: Buffer.from(secret).toString("base64url"), kid: "oct" },
  ];
  await writeFile(join(directory, "pk.json"), JSON.stringify({ keys: pk }));
  await writeFile(
    join(directory, "other.json"),
    JSON.stringify({ keys: [await jwk(otherRsa.publicKey, "rsa")] }),
  );
  const algorithms = ["RS256", "PS256", "ES256", "EdDSA"];
  verifier = createJwtVerifier({
    issuers: [
      hs,
      { ...hs, issuer: "https://aged", maxAgeMinutes: 5, clockSkewSeconds: 0 },
      {
        ...hs,
        issuer: "https://nested",
        claims: { roles: "realm_access.roles", tenant: "org", subject: "user.name" },
      },
      {
        issuer: "https://pk",
        audiences: [audience, "other"],
        algorithms,
        jwksFile: join(directory, "pk.json"),
      },
      {
        issuer: "https://other",
        audiences: [audience],
        algorithms,
        jwksFile: join(directory, "other.json"),
      },
    ],
    dial: () => Promise.reject(new Error("nothing is dialled")),
    log: silentLog,
    clock,
  });
});

afterAll(() => rm(directory, { recursive: true }));

const bytes = (key: string) => new TextEncoder().encode(key);
const sign = (payload: object, header: object = {}, key: Uint8Array | KeyObject = bytes(secret)) =>
  new SignJWT({ ...payload }).setProtectedHeader({ alg: "HS256", ...header }).sign(key);
const encode = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const verifyToken = (token: string) => verifier.verify(token, token);
const reason = async (token: string) => {
  const verified = await verifyToken(token);
  return typeof verified === "string" ? verified : "passed";
};

describe("J01 J03 what passes", () => {
  test("shared secret, typed claims", async () => {
    const token = await sign({ ...claims, roles: ["reader"], groups: ["/ops"], azp: "web" });
    expect(await verifyToken(token)).toMatchObject({
      keyName: undefined,
      claims: {
        issuer: "https://hs",
        subject: "ann",
        clientId: "web",
        tenant: undefined,
        roles: ["reader"],
        groups: ["/ops"],
        notBeforeMs: (nowSeconds - 30) * 1000,
        expiresAtMs: (nowSeconds + 90) * 1000,
      },
    });
  });

  test.each([
    ["RS256", "rsa", rsa.privateKey],
    ["PS256", "rsa", rsa.privateKey],
    ["ES256", "ec", ec.privateKey],
    ["EdDSA", "ed", ed.privateKey],
  ] as const)("%s from a JWKS", async (alg, kid, key) => {
    expect(await reason(await sign({ ...claims, iss: "https://pk" }, { alg, kid }, key))).toBe(
      "passed",
    );
  });

  test("J08 J10 J11 nested claim paths", async () => {
    const payload = {
      ...claims,
      iss: "https://nested",
      user: { name: "bo" },
      org: "acme",
      realm_access: { roles: ["x"] },
    };
    const verified = await verifyToken(await sign(payload));
    expect(verified).toMatchObject({ claims: { subject: "bo", tenant: "acme", roles: ["x"] } });
    expect(await reason(await sign({ ...payload, org: undefined }))).toBe("jwt-claims");
  });
});

describe("AN-03 AN-04 AN-06 AN-07 AN-11 AN-20 format, header and key", () => {
  const pk = { ...claims, iss: "https://pk" };
  const forge = (header: object, payload: object = claims, signature = "AAAA") =>
    `${encode(header)}.${encode(payload)}.${signature}`;

  test.each([
    ["none", forge({ alg: "none" }, claims), "jwt-algorithm-mismatch"],
    ["nOnE", forge({ alg: "nOnE" }), "jwt-algorithm-mismatch"],
    ["empty signature", forge({ alg: "HS256" }, claims, ""), "jwt-malformed"],
    ["five segments", "a.b.c.d.e", "jwt-encrypted"],
    ["two segments", "a.b", "jwt-malformed"],
    ["not base64url", "a=.b.c", "jwt-malformed"],
    ["header is no object", `${encode("[]")}.${encode(claims)}.AAAA`, "jwt-malformed"],
    [
      "header member twice",
      `${encode('{"alg":"HS256","alg":"none"}')}.${encode(claims)}.AAAA`,
      "jwt-malformed",
    ],
    [
      "claim twice (AN-10)",
      `${encode('{"alg":"HS256"}')}.${encode('{"sub":"a","sub":"b"}')}.AAAA`,
      "jwt-malformed",
    ],
    ["too long", forge({ alg: "HS256" }, { pad: "x".repeat(20_000) }), "jwt-malformed"],
    [
      "unknown issuer",
      forge({ alg: "HS256" }, { ...claims, iss: "https://evil" }),
      "jwt-issuer-unknown",
    ],
    [
      "issuer is no string",
      forge({ alg: "HS256" }, { ...claims, iss: ["https://hs"] }),
      "jwt-issuer-unknown",
    ],
    ["kid 129 long", forge({ alg: "HS256", kid: "k".repeat(129) }), "jwt-header-refused"],
    ["kid a number", forge({ alg: "HS256", kid: 1 }), "jwt-header-refused"],
    ["typ of a logout token", forge({ alg: "HS256", typ: "logout+jwt" }), "jwt-header-refused"],
    ["HS256 at a public-key issuer", forge({ alg: "HS256" }, pk), "jwt-algorithm-mismatch"],
    ["HS512 where HS256 is pinned", forge({ alg: "HS512" }), "jwt-algorithm-mismatch"],
    ["unknown kid", forge({ alg: "RS256", kid: "../../etc/passwd" }, pk), "jwt-key-unknown"],
    ["no kid, several keys", forge({ alg: "RS256" }, pk), "jwt-key-unknown"],
    ["kid given twice in the set", forge({ alg: "RS256", kid: "twice" }, pk), "jwt-key-unknown"],
    ["key of another type", forge({ alg: "ES256", kid: "rsa" }, pk), "jwt-key-unknown"],
    ["key for encryption", forge({ alg: "ES256", kid: "for-encryption" }, pk), "jwt-key-unknown"],
    [
      "ES256 signature of zeros (AN-05)",
      forge({ alg: "ES256", kid: "ec" }, pk, encode("\0".repeat(64))),
      "jwt-signature",
    ],
  ])("%s", async (_name, token, want) => {
    expect(await reason(token)).toBe(want as never);
  });

  test.each(["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"])("header with %s", async (name) => {
    expect(await reason(forge({ alg: "HS256", [name]: "x" }))).toBe("jwt-header-refused");
  });

  test("a public key used as a shared secret", async () => {
    const pem = rsa.publicKey.export({ type: "spki", format: "pem" });
    const token = await sign(pk, { kid: "rsa" }, bytes(String(pem)));
    expect(await reason(token)).toBe("jwt-algorithm-mismatch");
  });

  test("another issuer's key under the same kid is never tried", async () => {
    const token = await sign(pk, { alg: "RS256", kid: "rsa" }, otherRsa.privateKey);
    expect(await reason(token)).toBe("jwt-signature");
  });

  test("a changed payload or another secret", async () => {
    const [header, , signature] = (await sign(claims)).split(".");
    expect(await reason(`${header}.${encode({ ...claims, sub: "root" })}.${signature}`)).toBe(
      "jwt-signature",
    );
    expect(await reason(await sign(claims, {}, bytes(secret.toUpperCase())))).toBe("jwt-signature");
  });
});

describe("AN-08 AN-09 AN-10 claims", () => {
  test.each<[string, object, string]>([
    ["aud missing", { aud: undefined }, "jwt-audience"],
    ["aud of another", { aud: "https://other" }, "jwt-audience"],
    ["aud with a trailing slash", { aud: `${audience}/` }, "jwt-audience"],
    ["aud wildcard", { aud: "*" }, "jwt-audience"],
    ["aud with a number in it", { aud: [audience, 1] }, "jwt-audience"],
    ["aud list with a match", { aud: ["x", audience] }, "passed"],
    ["exp missing", { exp: undefined }, "jwt-claims"],
    ["exp text", { exp: String(nowSeconds + 60) }, "jwt-claims"],
    ["exp negative", { exp: -1 }, "jwt-claims"],
    ["exp fraction", { exp: nowSeconds + 0.5 }, "jwt-claims"],
    ["exp huge", { exp: 1e300 }, "jwt-claims"],
    ["exp within the skew", { exp: nowSeconds - 29 }, "passed"],
    ["exp beyond the skew", { exp: nowSeconds - 30 }, "jwt-expired"],
    ["nbf ahead", { nbf: nowSeconds + 31 }, "jwt-not-yet-valid"],
    ["nbf within the skew", { nbf: nowSeconds + 30 }, "passed"],
    ["iat far ahead", { iat: nowSeconds + 3600 }, "jwt-not-yet-valid"],
    ["iat text", { iat: "x" }, "jwt-claims"],
    ["sub missing", { sub: undefined }, "jwt-claims"],
    ["sub empty", { sub: "" }, "jwt-claims"],
    ["sub number", { sub: 7 }, "jwt-claims"],
    ["sub list", { sub: ["ann"] }, "jwt-claims"],
    ["sub with NUL", { sub: "a\0b" }, "jwt-claims"],
    ["sub with a direction mark", { sub: "a\u202eb" }, "jwt-claims"],
    ["sub 10 KiB", { sub: "a".repeat(10_240) }, "jwt-claims"],
    ["roles text", { roles: "admin" }, "jwt-claims"],
    ["roles with a number", { roles: [1] }, "jwt-claims"],
    ["azp object", { azp: {} }, "jwt-claims"],
  ])("%s", async (_name, change, want) => {
    expect(await reason(await sign({ ...claims, ...change }))).toBe(want as never);
  });

  test("J06 maximum age", async () => {
    const aged = { ...claims, iss: "https://aged", exp: nowSeconds + 9999 };
    expect(await reason(await sign({ ...aged, iat: nowSeconds - 299 }))).toBe("passed");
    expect(await reason(await sign({ ...aged, iat: nowSeconds - 300 }))).toBe("jwt-expired");
    expect(await reason(await sign({ ...aged, iat: undefined }))).toBe("jwt-too-old");
  });

  test("a verified token is judged anew by time, and a clock set back does not help", async () => {
    const verified = await verifyToken(await sign(claims));
    if (typeof verified === "string") throw new Error(verified);
    expect(verifier.recheck(verified)).toBeUndefined();
    skipMs = 90_000;
    expect(verifier.recheck(verified)).toBe("jwt-expired");
    setBackMs = 3_600_000;
    expect(verifier.recheck(verified)).toBe("jwt-expired");
  });
});

describe("J04 configuration refused at creation", () => {
  test.each<[string, Partial<JwtIssuerConfig>]>([
    ["short secret", { secret: "short" }],
    ["47 bytes for HS384", { algorithms: ["HS384"], secret: secret.slice(0, 47) }],
    ["63 bytes for HS512", { algorithms: ["HS512"], secret: secret.slice(0, 63) }],
    ["repeated secret", { secret: "changeme".repeat(8) }],
    ["none", { algorithms: ["none"] }],
    ["no algorithm", { algorithms: [] }],
    ["RS256 with a secret", { algorithms: ["RS256"] }],
    ["both families", { algorithms: ["HS256", "RS256"] }],
    ["HS256 with a JWKS", { secret: undefined, jwksFile: "x" }],
    ["no keys", { secret: undefined }],
    ["two key places", { jwksUrl: "https://x" }],
    ["no audience", { audiences: [] }],
    ["wide skew", { clockSkewSeconds: 31 }],
    ["negative age", { maxAgeMinutes: -1 }],
    ["# in the issuer (AZ-17)", { issuer: "https://a#b" }],
  ])("%s", (_name, change) => {
    const issuers = [{ ...hs, ...change }];
    expect(() =>
      createJwtVerifier({
        issuers,
        dial: () => Promise.reject(new Error("nothing is dialled")),
        clock,
        log: silentLog,
      }),
    ).toThrow();
  });

  test("one issuer twice", () => {
    expect(() =>
      createJwtVerifier({
        issuers: [hs, hs],
        dial: () => Promise.reject(new Error("nothing is dialled")),
        clock,
        log: silentLog,
      }),
    ).toThrow();
  });
});
