/**
 * Verifies JSON Web Tokens of the configured issuers. Order: take apart, choose the issuer by `iss`, require one of
 * its pinned algorithms, find the key, check the signature, then the claims. Called by the authenticator only.
 */
import { compactVerify } from "jose";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { createJwks, type Jwks } from "./jwks.ts";
import { type AllowUrl, fetchJwks, readJwksFile } from "./jwks-source.ts";
import { type JwtClaims, judgeTime, readClaims } from "./jwt-claims.ts";
import { type JwtRefusal, parseJwt } from "./jwt-format.ts";
import {
  type CheckedIssuer,
  checkIssuer,
  type JwtAlgorithm,
  type JwtIssuerConfig,
} from "./jwt-issuer.ts";
import { createSteadyTime } from "./steady-time.ts";

export interface JwtVerifierDeps {
  readonly issuers: readonly JwtIssuerConfig[];
  readonly allowUrl: AllowUrl;
  readonly clock: Clock;
  /** How long JWKS are used before asking again; files are read again after at most a minute. */
  readonly jwksFreshMs?: number;
  readonly jwksStaleMs?: number;
  readonly jwksCooldownMs?: number;
}

/** A token whose signature and claims held. Time must be judged again at each use. */
export interface VerifiedJwt {
  readonly claims: JwtClaims;
  /** The key it was checked with; undefined for a shared secret, which changes only with the configuration. */
  readonly keyName: string | undefined;
}

export interface JwtVerifier {
  readonly issuers: readonly string[];
  verify(token: string): Promise<VerifiedJwt | JwtRefusal>;
  /** Why a token verified earlier no longer holds; undefined while it does. */
  recheck(verified: VerifiedJwt): JwtRefusal | undefined;
}

interface Issuer {
  readonly checked: CheckedIssuer;
  readonly jwks: Jwks | undefined;
}

/** Throws invalid-params where an issuer's configuration is unusable; does no I/O until a token comes. */
export function createJwtVerifier(deps: JwtVerifierDeps): JwtVerifier {
  const issuers = new Map<string, Issuer>();
  for (const config of deps.issuers) {
    const checked = checkIssuer(config);
    if (issuers.has(checked.issuer)) {
      throw new GatewayError(
        "invalid-params",
        `JWT issuer "${checked.issuer}" is configured twice`,
      );
    }
    issuers.set(checked.issuer, { checked, jwks: createIssuerJwks(checked, deps) });
  }
  const nowMs = createSteadyTime(deps.clock);

  return {
    issuers: [...issuers.keys()],
    async verify(token) {
      const parts = parseJwt(token);
      if (typeof parts === "string") return parts;
      const iss = parts.payload.iss;
      const issuer = typeof iss === "string" ? issuers.get(iss) : undefined;
      if (issuer === undefined) return "jwt-issuer-unknown";
      const algorithm = issuer.checked.algorithms.find((one) => one === parts.algorithm);
      if (algorithm === undefined) return "jwt-algorithm-mismatch";
      const keyName = await checkSignature(token, issuer, parts.keyId, algorithm);
      if (keyName === "jwt-key-unknown" || keyName === "jwt-signature") return keyName;
      // The payload was decoded from the very segment the signature covers, so it is verified now.
      const claims = readClaims(parts.payload, issuer.checked);
      if (typeof claims === "string") return claims;
      return judgeTime(claims, nowMs()) ?? { claims, keyName: keyName.name };
    },
    recheck({ claims, keyName }) {
      const late = judgeTime(claims, nowMs());
      if (late !== undefined || keyName === undefined) return late;
      return issuers.get(claims.issuer)?.jwks?.holds(keyName) === true
        ? undefined
        : "jwt-key-unknown";
    },
  };
}

function createIssuerJwks(issuer: CheckedIssuer, deps: JwtVerifierDeps): Jwks | undefined {
  const place = issuer.keys;
  if (place.kind === "secret") return undefined;
  const { clock, jwksFreshMs = 3_600_000, jwksStaleMs = 3_600_000, jwksCooldownMs = 30_000 } = deps;
  const common = { clock, staleMs: jwksStaleMs, cooldownMs: jwksCooldownMs };
  if (place.kind === "url") {
    return createJwks({
      ...common,
      freshMs: jwksFreshMs,
      load: () => fetchJwks(place.url, deps.allowUrl),
    });
  }
  // Reading a file is cheap, and an operator who edits it expects to see the effect.
  const freshMs = Math.min(jwksFreshMs, 60_000);
  return createJwks({ ...common, freshMs, load: () => readJwksFile(place.path) });
}

async function checkSignature(
  token: string,
  { checked, jwks }: Issuer,
  keyId: string | undefined,
  algorithm: JwtAlgorithm,
): Promise<"jwt-key-unknown" | "jwt-signature" | { readonly name: string | undefined }> {
  const found =
    checked.keys.kind === "secret"
      ? { key: checked.keys.secret, name: undefined }
      : await jwks?.find(keyId, algorithm);
  if (found === undefined) return "jwt-key-unknown";
  try {
    await compactVerify(token, found.key, { algorithms: [algorithm] });
    return { name: found.name };
  } catch {
    return "jwt-signature";
  }
}
