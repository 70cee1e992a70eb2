/**
 * The signature algorithms there are for tokens, and what each needs of its key. One table, so that nothing else
 * lists algorithms: configuration pins from it, and keys are matched by it.
 */

/** Minimum secret length in bytes for each shared-secret algorithm (the size of its hash, RFC 7518 3.2). */
export const secretBytesMin = { HS256: 32, HS384: 48, HS512: 64 } as const;
/** JWK key type behind each public-key algorithm. */
const keyTypes = {
  RS256: "RSA",
  RS384: "RSA",
  RS512: "RSA",
  PS256: "RSA",
  PS384: "RSA",
  PS512: "RSA",
  ES256: "EC",
  ES384: "EC",
  ES512: "EC",
  EdDSA: "OKP",
  Ed25519: "OKP",
} as const;

export type SharedSecretAlgorithm = keyof typeof secretBytesMin;
export type PublicKeyAlgorithm = keyof typeof keyTypes;
export type JwtAlgorithm = SharedSecretAlgorithm | PublicKeyAlgorithm;

export const algorithmNames: readonly string[] = [
  ...Object.keys(secretBytesMin),
  ...Object.keys(keyTypes),
];

export function isAlgorithm(name: string): name is JwtAlgorithm {
  return Object.hasOwn(secretBytesMin, name) || Object.hasOwn(keyTypes, name);
}

export function isPublicKey(algorithm: JwtAlgorithm): algorithm is PublicKeyAlgorithm {
  return Object.hasOwn(keyTypes, algorithm);
}

/** The JWK `kty` an algorithm needs; undefined for shared secrets, which are never in a JWKS. */
export function keyTypeOf(algorithm: JwtAlgorithm): string | undefined {
  return isPublicKey(algorithm) ? keyTypes[algorithm] : undefined;
}
