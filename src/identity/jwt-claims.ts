/**
 * Judges a verified payload, of a JWT or of an introspection answer: every claim has its exact type and a bound, and
 * time is checked apart so that a remembered token is judged anew at each use. Pure.
 */
import { audiencesOf } from "./audience.ts";
import { claimAt, firstClaimAt, isDate, isName, isNames, readScopes } from "./claim-values.ts";
import type { JwtRefusal } from "./jwt-format.ts";
import type { CheckedIssuer } from "./jwt-issuer.ts";
import type { RequiredClaim } from "./providers/provider.ts";

export interface JwtClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly clientId: string | undefined;
  readonly tenant: string | undefined;
  readonly workspace: string | undefined;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  readonly acr: string | undefined;
  readonly amr: readonly string[];
  readonly authenticatedAtMs: number | undefined;
  /** `jti`, by which an operator revokes one token. */
  readonly tokenId: string | undefined;
  readonly issuedAtMs: number | undefined;
  /** Resources the token is for, in canonical form; undefined where the issuer's audiences were checked already. */
  readonly resources: readonly string[] | undefined;
  readonly payload: Payload;
  /** Valid while `notBeforeMs <= now < expiresAtMs`; the clock skew is already inside both. */
  readonly notBeforeMs: number;
  readonly expiresAtMs: number;
}

type Payload = Readonly<Record<string, unknown>>;
type Times = Pick<JwtClaims, "notBeforeMs" | "expiresAtMs" | "issuedAtMs" | "authenticatedAtMs">;
type Names = Pick<JwtClaims, "subject" | "clientId" | "tenant" | "workspace" | "tokenId">;
type Rights = Pick<JwtClaims, "roles" | "groups" | "scopes" | "acr" | "amr">;

/** Typed claims of a payload whose signature held, or why they are refused. */
export function readClaims(payload: Payload, issuer: CheckedIssuer): JwtClaims | JwtRefusal {
  const audience = audiencesOf(firstClaimAt(payload, issuer.claims.audience), issuer.audience);
  if (audience === undefined) return "jwt-audience";
  const times = readTimes(payload, issuer);
  if (typeof times === "string") return times;
  if (!issuer.requiredClaims.every((one) => hasRequired(payload, one))) return "jwt-claim-required";
  if (issuer.groupsAreElsewhere?.(payload) === true) return "jwt-groups-elsewhere";
  const names = readNames(payload, issuer.claims);
  const rights = readRights(payload, issuer.claims);
  if (names === undefined || rights === undefined) return "jwt-claims";
  return {
    issuer: issuer.issuer,
    ...names,
    ...rights,
    ...times,
    resources: audience.resources,
    payload: Object.freeze(payload),
  };
}

/** Why the claims do not hold at this moment; undefined while they do. */
export function judgeTime(claims: JwtClaims, nowMs: number): JwtRefusal | undefined {
  if (nowMs >= claims.expiresAtMs) return "jwt-expired";
  if (nowMs < claims.notBeforeMs) return "jwt-not-yet-valid";
  return undefined;
}

function readTimes(payload: Payload, issuer: CheckedIssuer): Times | JwtRefusal {
  const { nbf, auth_time: authTime } = payload;
  const exp = claimAt(payload, issuer.claims.expiry);
  const iat = claimAt(payload, issuer.claims.issuedAt);
  if (!isDate(exp)) return "jwt-claims";
  if (nbf !== undefined && !isDate(nbf)) return "jwt-claims";
  if (iat !== undefined && !isDate(iat)) return "jwt-claims";
  if (authTime !== undefined && !isDate(authTime)) return "jwt-claims";
  let latest = exp;
  if (issuer.maxAgeSeconds !== undefined) {
    if (iat === undefined) return "jwt-too-old";
    latest = Math.min(latest, iat + issuer.maxAgeSeconds);
  }
  const skew = issuer.clockSkewSeconds;
  const earliest = Math.max(nbf ?? 0, iat ?? 0);
  return {
    notBeforeMs: (earliest - skew) * 1000,
    expiresAtMs: (latest + skew) * 1000,
    issuedAtMs: iat === undefined ? undefined : iat * 1000,
    authenticatedAtMs: authTime === undefined ? undefined : authTime * 1000,
  };
}

function readNames(payload: Payload, paths: CheckedIssuer["claims"]): Names | undefined {
  const subject = claimAt(payload, paths.subject);
  const clientId = firstClaimAt(payload, paths.clientId);
  const tenant = paths.tenant === undefined ? undefined : claimAt(payload, paths.tenant);
  const workspace = paths.workspace === undefined ? undefined : claimAt(payload, paths.workspace);
  const { jti } = payload;
  if (!isName(subject)) return undefined;
  if (clientId !== undefined && !isName(clientId)) return undefined;
  // A configured tenant claim is a boundary: without it the principal would belong to nobody's tenant.
  if (paths.tenant !== undefined && !isName(tenant)) return undefined;
  if (paths.workspace !== undefined && !isName(workspace)) return undefined;
  if (jti !== undefined && !isName(jti)) return undefined;
  return {
    subject,
    clientId,
    tenant: isName(tenant) ? tenant : undefined,
    workspace: isName(workspace) ? workspace : undefined,
    tokenId: jti,
  };
}

function readRights(payload: Payload, paths: CheckedIssuer["claims"]): Rights | undefined {
  const roles = claimAt(payload, paths.roles) ?? [];
  const groups = claimAt(payload, paths.groups) ?? [];
  const scopes = readScopes(firstClaimAt(payload, paths.scopes));
  const { acr, amr = [] } = payload;
  if (!isNames(roles) || !isNames(groups) || !isNames(amr) || scopes === undefined) {
    return undefined;
  }
  if (acr !== undefined && !isName(acr)) return undefined;
  return { roles, groups, scopes, acr, amr };
}

function hasRequired(payload: Payload, { claim, values }: RequiredClaim): boolean {
  const found = claimAt(payload, claim);
  const all: readonly unknown[] = Array.isArray(found) ? found : [found];
  // A version is a number as often as a text.
  return all.some((one) => {
    const text = Number.isSafeInteger(one) ? String(one) : one;
    return typeof text === "string" && values.includes(text);
  });
}
