/**
 * The keys clients sign requests with: public keys as registered, and secrets that are never stored. A secret is
 * derived from the node's token key and a random salt, so a copy of the database holds nothing to sign with, and
 * nobody chooses a weak one. Also which algorithm a key verifies by: the key's, never the signature's.
 */
import {
  constants,
  createHmac,
  createPublicKey,
  type KeyObject,
  verify as verifyWith,
} from "node:crypto";
import { randomSecret } from "../../lib/id.ts";
import { sameBytes } from "./same-bytes.ts";

/** As the state holds it; exactly one of `publicKey` (PEM) and `salt` is set, by the algorithm. */
export interface SigningKey {
  readonly keyId: string;
  readonly algorithm: "hmac-sha256" | "ed25519" | "ecdsa-p256-sha256" | "rsa-pss-sha512";
  readonly publicKey: string | undefined;
  readonly salt: string | undefined;
}

/** The shared secret of a client's key, in base64url: 256 bits that only the token key's holders can derive. */
export type SigningSecret = (clientId: string, keyId: string, salt: string) => string;

export type VerifyBase = (base: string, signature: Uint8Array) => boolean;

export function createSigningSecret(tokenKey: Buffer): SigningSecret {
  const ownKey = createHmac("sha256", tokenKey).update("client signing secrets").digest();
  return (clientId, keyId, salt) => {
    const derivation = createHmac("sha256", ownKey).update(JSON.stringify([clientId, keyId, salt]));
    return derivation.digest("base64url");
  };
}

/** What makes a secret another one: 128 random bits. Not secret itself. */
export function createSigningSalt(): string {
  return randomSecret(16);
}

/** How signatures by this key are verified; the key is read once. */
export function createVerifier(
  clientId: string,
  key: SigningKey,
  secretOf: SigningSecret,
): VerifyBase {
  const { algorithm } = key;
  if (algorithm === "hmac-sha256") {
    // The secret signs as the bytes that were shown to the operator, decoded.
    const secret = Buffer.from(secretOf(clientId, key.keyId, key.salt ?? ""), "base64url");
    return (base, signature) =>
      sameBytes(createHmac("sha256", secret).update(base).digest(), signature);
  }
  const publicKey = createPublicKey(key.publicKey ?? "");
  return (base, signature) => verifyBy(algorithm, publicKey, Buffer.from(base), signature);
}

function verifyBy(
  algorithm: Exclude<SigningKey["algorithm"], "hmac-sha256">,
  key: KeyObject,
  base: Buffer,
  signature: Uint8Array,
): boolean {
  switch (algorithm) {
    case "ed25519":
      return verifyWith(null, base, key, signature);
    case "ecdsa-p256-sha256":
      return verifyWith("sha256", base, { key, dsaEncoding: "ieee-p1363" }, signature);
    case "rsa-pss-sha512": {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verifyWith("sha512", base, { key, padding, saltLength: 64 }, signature);
    }
    default:
      return algorithm satisfies never;
  }
}
