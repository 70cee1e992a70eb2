/** Makes what clients prove themselves with, by other means than the gateway checks it: DPoP proofs with jose. */
import { hash } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

export interface DpopKey {
  readonly jwk: JWK;
  readonly thumbprint: string;
  /** A proof for this request; `claims` replace its own, and undefined removes one. */
  prove(request: ProvenRequest, claims?: object, header?: object): Promise<string>;
}

export interface ProvenRequest {
  readonly method: string;
  readonly url: string;
  readonly token: string;
}

export async function createDpopKey(alg: "ES256" | "EdDSA" = "ES256"): Promise<DpopKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return {
    jwk,
    thumbprint: await calculateJwkThumbprint(jwk),
    prove({ method, url, token }, claims = {}, header = {}) {
      const payload = {
        jti: crypto.randomUUID(),
        htm: method,
        htu: url,
        iat: Math.floor((performance.timeOrigin + performance.now()) / 1000),
        ath: hash("sha256", token, "base64url"),
        ...claims,
      };
      return new SignJWT(payload)
        .setProtectedHeader({ typ: "dpop+jwt", alg, jwk, ...header })
        .sign(privateKey);
    },
  };
}
