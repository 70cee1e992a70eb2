/**
 * Issuers of JWTs for the fault suite: one with a shared secret, one with RSA and one with EC keys in a JWKS file.
 * Tokens are put together by hand, so that a test can sign what no library would.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const audience = "https://gateway.example/mcp";
export const secretIssuer = "https://secret.example";
export const rsaIssuer = "https://rsa.example";
export const ecIssuer = "https://ec.example";

export type Json = Readonly<Record<string, unknown>>;

export interface TokenIssuers {
  /** The `identity` section of the configuration. */
  readonly identity: Json;
  readonly rsaPublicPem: string;
  /** Claims that hold now. */
  claims(issuer: string, more?: Json): Json;
  /** Each takes header and payload, as objects or as source text, and signs them with its own key. */
  hs256(payload: Json | string, header?: Json, secret?: string): string;
  rs256(payload: Json | string, header?: Json): string;
  es256(payload: Json | string, header?: Json, encoding?: "ieee-p1363" | "der"): string;
}

/** Keys are written into the folder. */
export function createTokenIssuers(folder: string): TokenIssuers {
  const secret = "a shared secret of far more than 256 bits, for tests alone";
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwksFile = (name: string, key: KeyObject, alg: string) => {
    const path = join(folder, `${name}.json`);
    const jwk = { ...key.export({ format: "jwk" }), kid: name, alg, use: "sig" };
    writeFileSync(path, JSON.stringify({ keys: [jwk] }));
    return path;
  };
  const common = { audiences: [audience] };
  const issuers = [
    { issuer: secretIssuer, ...common, algorithms: ["HS256"], secret },
    {
      issuer: rsaIssuer,
      ...common,
      algorithms: ["RS256"],
      jwks_file: jwksFile("rsa", rsa.publicKey, "RS256"),
    },
    {
      issuer: ecIssuer,
      ...common,
      algorithms: ["ES256"],
      jwks_file: jwksFile("ec", ec.publicKey, "ES256"),
    },
  ];
  return {
    identity: { jwt: { issuers } },
    rsaPublicPem: rsa.publicKey.export({ format: "pem", type: "spki" }).toString(),
    claims(issuer, more = {}) {
      const now = Math.floor((performance.timeOrigin + performance.now()) / 1000);
      const times = { iat: now - 5, exp: now + 600 };
      return { iss: issuer, aud: audience, sub: "user-1", azp: "alice", ...times, ...more };
    },
    hs256: (payload, header = {}, key = secret) =>
      assemble({ alg: "HS256", typ: "JWT", ...header }, payload, (input) =>
        createHmac("sha256", key).update(input).digest(),
      ),
    rs256: (payload, header = {}) =>
      assemble({ alg: "RS256", kid: "rsa", ...header }, payload, (input) =>
        sign("sha256", Buffer.from(input), rsa.privateKey),
      ),
    es256: (payload, header = {}, dsaEncoding = "ieee-p1363") =>
      assemble({ alg: "ES256", kid: "ec", ...header }, payload, (input) =>
        sign("sha256", Buffer.from(input), { key: ec.privateKey, dsaEncoding }),
      ),
  };
}

export function assemble(
  header: Json | string,
  payload: Json | string,
  signer: (input: string) => Uint8Array,
): string {
  const input = `${segment(header)}.${segment(payload)}`;
  return `${input}.${Buffer.from(signer(input)).toString("base64url")}`;
}

function segment(part: Json | string): string {
  return Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
}
