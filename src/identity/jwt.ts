/**
 * Verifies tokens of the configured issuers. A JWT: take apart, choose the issuer by `iss`, require one of its pinned
 * algorithms, find the key, check the signature, then the claims; and ask the issuer where it is to be asked. What is no
 * JWT is asked about alone. Called by the authenticator only.
 */
import { GatewayError } from "../errors/fault.ts";
import { type Endpoint, isForEndpoint } from "./audience.ts";
import { type JwtClaims, judgeTime, readClaims } from "./jwt-claims.ts";
import { type JwtRefusal, parseJwt } from "./jwt-format.ts";
import { checkIssuer } from "./jwt-issuer.ts";
import type { JwtIssuerConfig } from "./jwt-issuer-config.ts";
import { createSteadyTime } from "./steady-time.ts";
import {
  checkSignature,
  createTokenIssuer,
  type TokenIssuer,
  type TokenIssuerDeps,
} from "./token-issuer.ts";

export interface JwtVerifierDeps extends TokenIssuerDeps {
  readonly issuers: readonly JwtIssuerConfig[];
  /** Where agents reach this gateway; needed where an issuer's tokens are for one endpoint. */
  readonly publicUrl?: string | undefined;
}

/** A token whose signature and claims held. Time, keys and the issuer's word must be judged again at each use. */
export interface VerifiedJwt {
  readonly claims: JwtClaims;
  /** The key it was checked with; undefined for a shared secret, which changes only with the configuration. */
  readonly keyName: string | undefined;
  /** The issuer's own word; undefined where it is not to be asked. */
  readonly word: IssuersWord | undefined;
}

export interface IssuersWord {
  /** Whether it was given lately enough to admit somebody on it. */
  isFresh(): boolean;
  /** Whether it still stands, as far as is known; asks again in the background. */
  stands(): boolean;
}

type Local = Omit<VerifiedJwt, "word">;

export interface JwtVerifier {
  readonly issuers: readonly string[];
  /** `digest` names the token where something is remembered about it. */
  verify(token: string, digest: string): Promise<VerifiedJwt | JwtRefusal>;
  /** Why a token verified earlier no longer holds; undefined while it does. */
  recheck(verified: VerifiedJwt): JwtRefusal | undefined;
  /** Whether the token is for this endpoint. */
  fits(verified: VerifiedJwt, endpoint: Endpoint | undefined): boolean;
}

/** Throws invalid-params where an issuer's configuration is unusable; does no I/O until a token comes. */
export function createJwtVerifier(deps: JwtVerifierDeps): JwtVerifier {
  const issuers = createIssuers(deps);
  const own = new Map([...issuers.values()].map((one) => [one.checked.issuer, one]));
  const opaque = findOpaque([...own.values()]);
  const nowMs = createSteadyTime(deps.clock);

  async function verifyLocally(
    token: string,
    parts: Exclude<ReturnType<typeof parseJwt>, JwtRefusal>,
    issuer: TokenIssuer,
  ): Promise<Local | JwtRefusal> {
    const algorithm = issuer.checked.algorithms.find((one) => one === parts.algorithm);
    if (algorithm === undefined) return "jwt-algorithm-mismatch";
    const keyName = await checkSignature(token, issuer, parts.keyId, algorithm);
    if (typeof keyName === "string") return keyName;
    // The payload was decoded from the very segment the signature covers, so it is verified now.
    const claims = readClaims(parts.payload, issuer.checked);
    if (typeof claims === "string") return claims;
    return judgeTime(claims, nowMs()) ?? { claims, keyName: keyName.name };
  }

  /** The issuer's own word; `local` is what was verified here, and then the answer adds nothing but that it stands. */
  async function askIssuer(
    token: string,
    digest: string,
    { checked, introspection }: TokenIssuer,
    local: Local | undefined,
  ): Promise<VerifiedJwt | JwtRefusal> {
    if (introspection === undefined) {
      return local === undefined ? "jwt-malformed" : { ...local, word: undefined };
    }
    const word: IssuersWord = {
      isFresh: () => introspection.isFresh(digest),
      stands: () => introspection.stillActive(token, digest),
    };
    const answer = await introspection.ask(token, digest).catch(() => "unknown" as const);
    if (answer === "unknown") return "introspection-failed";
    if (answer === undefined) return "token-inactive";
    if (answer.iss !== undefined && answer.iss !== checked.issuer) return "jwt-issuer-unknown";
    if (local !== undefined) return { ...local, word };
    const claims = readClaims(answer, checked);
    if (typeof claims === "string") return claims;
    return judgeTime(claims, nowMs()) ?? { claims, keyName: undefined, word };
  }

  return {
    issuers: [...own.keys()],
    async verify(token, digest) {
      if (opaque !== undefined && !isCompact(token)) {
        return askIssuer(token, digest, opaque, undefined);
      }
      const parts = parseJwt(token);
      if (typeof parts === "string") return parts;
      const { iss } = parts.payload;
      const issuer = typeof iss === "string" ? issuers.get(iss) : undefined;
      if (issuer === undefined) return "jwt-issuer-unknown";
      const isAskedAlone = issuer.checked.keys.kind === "none";
      const local = isAskedAlone ? undefined : await verifyLocally(token, parts, issuer);
      return typeof local === "string" ? local : askIssuer(token, digest, issuer, local);
    },
    recheck({ claims, keyName, word }) {
      const late = judgeTime(claims, nowMs());
      if (late !== undefined) return late;
      const jwks = own.get(claims.issuer)?.jwks;
      if (keyName !== undefined && jwks?.holds(keyName) !== true) return "jwt-key-unknown";
      return word?.stands() === false ? "token-inactive" : undefined;
    },
    fits({ claims }, endpoint) {
      const rule = own.get(claims.issuer)?.checked.audience;
      if (rule?.kind !== "resource") return true;
      return endpoint !== undefined && isForEndpoint(claims.resources ?? [], rule.base, endpoint);
    },
  };
}

/** Three segments are a signed token and five an encrypted one; anything else is opaque. */
function isCompact(token: string): boolean {
  const { length } = token.split(".", 6);
  return length === 3 || length === 5;
}

/** By `iss`, other spellings included. */
function createIssuers(deps: JwtVerifierDeps): ReadonlyMap<string, TokenIssuer> {
  const issuers = new Map<string, TokenIssuer>();
  for (const config of deps.issuers) {
    const checked = checkIssuer(config, deps.publicUrl);
    const issuer = createTokenIssuer(checked, deps);
    for (const name of [checked.issuer, ...checked.aliases]) {
      if (issuers.has(name)) {
        throw new GatewayError("invalid-params", `JWT issuer "${name}" is configured twice`);
      }
      issuers.set(name, issuer);
    }
  }
  return issuers;
}

/** Nothing in an opaque token says whose it is, so one issuer at most may be asked about them. */
function findOpaque(issuers: readonly TokenIssuer[]): TokenIssuer | undefined {
  const found = issuers.filter(({ checked }) => checked.introspection?.opaqueTokens === true);
  if (found.length < 2) return found[0];
  const names = found.map(({ checked }) => checked.issuer).join(" and ");
  throw new GatewayError("invalid-params", `opaque tokens can be of one issuer only, not ${names}`);
}
