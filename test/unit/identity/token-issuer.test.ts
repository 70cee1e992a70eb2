/**
 * Signatures: the examples of RFC 7515 and RFC 8037, and families of near misses made from good ones in the manner of
 * Wycheproof. Nothing that is not exactly a signature is taken for one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { join } from "node:path";
import { createJwks } from "../../../src/identity/jwks.ts";
import { createJwtVerifier, type JwtVerifier } from "../../../src/identity/jwt.ts";
import type { JwtAlgorithm } from "../../../src/identity/jwt-algorithms.ts";
import { type CheckedIssuer, checkIssuer } from "../../../src/identity/jwt-issuer.ts";
import { checkSignature } from "../../../src/identity/token-issuer.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const joe =
  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const clock = { nowMs: () => 1_800_000_000_000, monotonicMs: () => 0 };

interface Vector {
  readonly name: string;
  readonly alg: JwtAlgorithm;
  readonly jwk: Readonly<Record<string, string>>;
  readonly token: string;
}

const vectors: readonly Vector[] = [
  {
    name: "RFC 7515 A.1",
    alg: "HS256",
    jwk: {
      kty: "oct",
      k: "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    },
    token: `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${joe}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
  },
  {
    name: "RFC 7515 A.3",
    alg: "ES256",
    jwk: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    token: `eyJhbGciOiJFUzI1NiJ9.${joe}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
  },
  {
    name: "RFC 7515 A.4",
    alg: "ES512",
    jwk: {
      kty: "EC",
      crv: "P-521",
      x: "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
      y: "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    },
    token:
      "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
  },
  {
    name: "RFC 8037 A.4",
    alg: "EdDSA",
    jwk: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    token:
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
  },
];

/** An issuer whose only key is the vector's. */
function issuerOf({ alg, jwk }: Vector) {
  const secret = Buffer.from(jwk.k ?? "", "base64url");
  const base = checkIssuer({
    issuer: "joe",
    audiences: ["a"],
    algorithms: ["RS256"],
    jwksFile: "x",
  });
  const checked: CheckedIssuer = {
    ...base,
    algorithms: [alg],
    keys: jwk.kty === "oct" ? { kind: "secret", secret } : base.keys,
  };
  const jwks = createJwks({ load: async () => JSON.stringify({ keys: [jwk] }), clock });
  return { checked, jwks, introspection: undefined };
}

describe.each(vectors)("$name", (vector) => {
  const verify = (token: string) => checkSignature(token, issuerOf(vector), undefined, vector.alg);

  test("the example holds", async () => {
    expect(await verify(vector.token)).toHaveProperty("name");
  });

  test("no single bit of it may be another", async () => {
    const [header = "", payload = "", signature = ""] = vector.token.split(".");
    const bytes = Buffer.from(signature, "base64url");
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const token = `${header}.${payload}.${changed.toString("base64url")}`;
      expect(await verify(token), `byte ${at}`).toBe("jwt-signature");
    }
  });

  test("nothing shorter, longer, empty or zero", async () => {
    const [header = "", payload = "", signature = ""] = vector.token.split(".");
    const bytes = Buffer.from(signature, "base64url");
    const wrong = [
      bytes.subarray(0, -1),
      bytes.subarray(1),
      bytes.subarray(0, bytes.length / 2),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), bytes]),
      Buffer.concat([bytes, bytes]),
      Buffer.alloc(bytes.length),
      Buffer.alloc(bytes.length, 0xff),
      Buffer.alloc(0),
    ];
    for (const one of wrong) {
      expect(await verify(`${header}.${payload}.${one.toString("base64url")}`)).toBe(
        "jwt-signature",
      );
    }
  });
});

const keys = {
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  small: generateKeyPairSync("rsa", { modulusLength: 1024 }),
  p256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  p384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  ed: generateKeyPairSync("ed25519"),
};
const folder = temporaryFolder("jose");
let verifier: JwtVerifier;

beforeAll(async () => {
  const jwks = Object.entries(keys).map(([kid, { publicKey }]) => ({
    ...publicKey.export({ format: "jwk" }),
    kid,
  }));
  const path = join(folder.path, "jwks.json");
  await Bun.write(path, JSON.stringify({ keys: jwks }));
  verifier = createJwtVerifier({
    issuers: [
      {
        issuer: "https://i",
        audiences: ["a"],
        algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
        jwksFile: path,
      },
    ],
    dial: () => Promise.reject(new Error("nothing is dialled")),
    clock,
    log: silentLog,
  });
});
afterAll(() => folder[Symbol.asyncDispose]());

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = { iss: "https://i", aud: "a", sub: "ann", exp: 1_800_000_600 };
const inputOf = (alg: string, kid: string) => `${encode({ alg, kid })}.${encode(claims)}`;
const reason = async (input: string, signature: Uint8Array | string) => {
  const text =
    typeof signature === "string" ? signature : Buffer.from(signature).toString("base64url");
  const token = `${input}.${text}`;
  const verified = await verifier.verify(token, token);
  return typeof verified === "string" ? verified : "passed";
};
const signed = (
  input: string,
  key: KeyObject,
  more: object = {},
  digest: string | null = "sha256",
) => sign(digest, Buffer.from(input), { key, ...more });

const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
const edOrder = 2n ** 252n + 27742317777372353535851937790883648493n;
const big = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytesOf = (value: bigint) => Buffer.from(value.toString(16).padStart(64, "0"), "hex");

describe("AN-05 ES256", () => {
  const input = inputOf("ES256", "p256");
  const good = signed(input, keys.p256.privateKey, { dsaEncoding: "ieee-p1363" });
  const r = good.subarray(0, 32);
  const s = good.subarray(32);

  test("both halves of the order are signatures: JWS does not ask for the lower one", async () => {
    expect(await reason(input, good)).toBe("passed");
    const other = Buffer.concat([r, bytesOf(order - big(s))]);
    expect(await reason(input, other)).toBe("passed");
  });

  test.each<[string, () => Uint8Array]>([
    ["DER", () => signed(input, keys.p256.privateKey, { dsaEncoding: "der" })],
    ["zeros", () => Buffer.alloc(64)],
    ["r zero", () => Buffer.concat([Buffer.alloc(32), s])],
    ["s zero", () => Buffer.concat([r, Buffer.alloc(32)])],
    ["r = n", () => Buffer.concat([bytesOf(order), s])],
    ["s = n", () => Buffer.concat([r, bytesOf(order)])],
    ["s = n + 1", () => Buffer.concat([r, bytesOf(order + 1n)])],
    ["r and s exchanged", () => Buffer.concat([s, r])],
    ["r padded to 33 bytes", () => Buffer.concat([Buffer.alloc(1), r, Buffer.alloc(1), s])],
    ["a trailing byte", () => Buffer.concat([good, Buffer.alloc(1)])],
    [
      "over another curve",
      () => signed(input, keys.p384.privateKey, { dsaEncoding: "ieee-p1363" }),
    ],
  ])("%s", async (_name, make) => {
    expect(await reason(input, make())).toBe("jwt-signature");
  });

  test("a key of another curve is no key for it", async () => {
    const wrong = inputOf("ES256", "p384");
    const signature = signed(wrong, keys.p384.privateKey, { dsaEncoding: "ieee-p1363" });
    expect(await reason(wrong, signature)).toBe("jwt-key-unknown");
  });

  test("spare bits and padding: one token has one text", async () => {
    const text = good.toString("base64url");
    expect(await reason(input, text)).toBe("passed");
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = alphabet.indexOf(text.at(-1) ?? "");
    const twin = text.slice(0, -1) + alphabet[last ^ 1];
    expect(Buffer.from(twin, "base64url")).toEqual(good);
    for (const one of [twin, `${text}==`, `${text}\n`, `${text}.`, good.toString("base64")]) {
      expect(await reason(input, one)).not.toBe("passed");
    }
  });
});

describe("EdDSA", () => {
  const input = inputOf("EdDSA", "ed");
  const good = sign(null, Buffer.from(input), keys.ed.privateKey);

  test("S beyond the order is no second signature (RFC 8032 5.1.7)", async () => {
    expect(await reason(input, good)).toBe("passed");
    const s = big(Buffer.from(good.subarray(32)).reverse()) + edOrder;
    const high = Buffer.concat([good.subarray(0, 32), Buffer.from(bytesOf(s)).reverse()]);
    expect(await reason(input, high)).toBe("jwt-signature");
  });
});

describe("RSA", () => {
  test.each<[string, string, string, () => Uint8Array, string]>([
    ["RS256", "RS256", "rsa", () => signed(inputOf("RS256", "rsa"), keys.rsa.privateKey), "passed"],
    [
      "PKCS #1 where PSS is said",
      "PS256",
      "rsa",
      () => signed(inputOf("PS256", "rsa"), keys.rsa.privateKey),
      "jwt-signature",
    ],
    [
      "PSS where PKCS #1 is said",
      "RS256",
      "rsa",
      () => signed(inputOf("RS256", "rsa"), keys.rsa.privateKey, { padding: 6, saltLength: 32 }),
      "jwt-signature",
    ],
    [
      "PSS with another salt",
      "PS256",
      "rsa",
      () => signed(inputOf("PS256", "rsa"), keys.rsa.privateKey, { padding: 6, saltLength: 0 }),
      "jwt-signature",
    ],
    [
      "another hash",
      "RS256",
      "rsa",
      () => signed(inputOf("RS256", "rsa"), keys.rsa.privateKey, {}, "sha384"),
      "jwt-signature",
    ],
    [
      "a key of 1024 bits",
      "RS256",
      "small",
      () => signed(inputOf("RS256", "small"), keys.small.privateKey),
      "jwt-signature",
    ],
  ])("%s", async (_name, alg, kid, make, want) => {
    expect(await reason(inputOf(alg, kid), make())).toBe(want);
  });
});
