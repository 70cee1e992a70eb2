/**
 * Judges a verified payload: every claim has its exact type and a bound, and time is checked apart so that a
 * remembered token is judged anew at each use. Pure.
 */

import { isObject, type JwtRefusal } from "./jwt-format.ts";
import type { CheckedIssuer, ClaimPaths } from "./jwt-issuer.ts";

export interface JwtClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly clientId: string | undefined;
  readonly tenant: string | undefined;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly payload: Payload;
  /** Valid while `notBeforeMs <= now < expiresAtMs`; the clock skew is already inside both. */
  readonly notBeforeMs: number;
  readonly expiresAtMs: number;
}

type Payload = Readonly<Record<string, unknown>>;

const nameLengthMax = 256;
const namesMax = 256;
const audiencesMax = 32;
/** Control and bidirectional-formatting characters: they make two subjects look alike in a record. */
const unprintable = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
/** 9999-12-31: beyond it a "date" is a mistake or an attempt. */
const latestSeconds = 253_402_300_799;

/** Typed claims of a payload whose signature held, or why they are refused. */
export function readClaims(payload: Payload, issuer: CheckedIssuer): JwtClaims | JwtRefusal {
  if (!hasAudience(payload.aud, issuer.audiences)) return "jwt-audience";
  const times = readTimes(payload, issuer);
  if (typeof times === "string") return times;
  const names = readNames(payload, issuer.claims);
  if (names === undefined) return "jwt-claims";
  return { issuer: issuer.issuer, ...names, ...times, payload: Object.freeze(payload) };
}

/** Why the claims do not hold at this moment; undefined while they do. */
export function judgeTime(claims: JwtClaims, nowMs: number): JwtRefusal | undefined {
  if (nowMs >= claims.expiresAtMs) return "jwt-expired";
  if (nowMs < claims.notBeforeMs) return "jwt-not-yet-valid";
  return undefined;
}

function hasAudience(audience: unknown, wanted: ReadonlySet<string>): boolean {
  if (typeof audience === "string") return wanted.has(audience);
  if (!Array.isArray(audience) || audience.length > audiencesMax) return false;
  if (!audience.every((one) => typeof one === "string")) return false;
  return audience.some((one) => wanted.has(one));
}

function readTimes(
  payload: Payload,
  issuer: CheckedIssuer,
): Pick<JwtClaims, "notBeforeMs" | "expiresAtMs"> | JwtRefusal {
  const { exp, nbf, iat } = payload;
  if (!isDate(exp)) return "jwt-claims";
  if (nbf !== undefined && !isDate(nbf)) return "jwt-claims";
  if (iat !== undefined && !isDate(iat)) return "jwt-claims";
  let latest = exp;
  if (issuer.maxAgeSeconds !== undefined) {
    if (iat === undefined) return "jwt-too-old";
    latest = Math.min(latest, iat + issuer.maxAgeSeconds);
  }
  const skew = issuer.clockSkewSeconds;
  const earliest = Math.max(nbf ?? 0, iat ?? 0);
  return { notBeforeMs: (earliest - skew) * 1000, expiresAtMs: (latest + skew) * 1000 };
}

function readNames(
  payload: Payload,
  paths: ClaimPaths,
): Pick<JwtClaims, "subject" | "clientId" | "tenant" | "roles" | "groups"> | undefined {
  const subject = at(payload, paths.subject ?? "sub");
  const clientId = payload.azp ?? payload.client_id;
  const tenant = paths.tenant === undefined ? undefined : at(payload, paths.tenant);
  const roles = at(payload, paths.roles ?? "roles") ?? [];
  const groups = at(payload, paths.groups ?? "groups") ?? [];
  if (!isName(subject)) return undefined;
  if (clientId !== undefined && !isName(clientId)) return undefined;
  // A configured tenant claim is a boundary: without it the principal would belong to nobody's tenant.
  if (paths.tenant !== undefined && !isName(tenant)) return undefined;
  if (!isNames(roles) || !isNames(groups)) return undefined;
  return { subject, clientId, tenant: isName(tenant) ? tenant : undefined, roles, groups };
}

/** The claim at a dotted path. A claim whose own name holds the dots (`https://x.example/roles`) is found first. */
function at(payload: Payload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  let value: unknown = payload;
  for (const step of path.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

function isDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= latestSeconds;
}

function isName(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= nameLengthMax &&
    !unprintable.test(value)
  );
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= namesMax && value.every(isName);
}
