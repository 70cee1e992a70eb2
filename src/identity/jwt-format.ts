/**
 * Takes a compact JWS apart without trusting it: three segments, a header of the few members we understand, one
 * JSON object as payload. Everything a token could use to steer verification is refused here, before any key.
 */
import { readObject } from "../protocol/json-view.ts";

/** Fixed set of reasons; metrics use them as labels. */
export type JwtRefusal =
  | "jwt-malformed"
  | "jwt-encrypted"
  | "jwt-header-refused"
  | "jwt-issuer-unknown"
  | "jwt-algorithm-mismatch"
  | "jwt-key-unknown"
  | "jwt-signature"
  | "jwt-claims"
  | "jwt-audience"
  | "jwt-expired"
  | "jwt-not-yet-valid"
  | "jwt-too-old"
  | "jwt-claim-required"
  | "jwt-groups-elsewhere"
  | "token-inactive"
  | "introspection-failed";

export interface JwtParts {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  /** Not verified yet: good for choosing the issuer's keys and nothing else. */
  readonly payload: Readonly<Record<string, unknown>>;
}

const headerMembersRefused = ["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"] as const;
const tokenTypes = new Set(["jwt", "at+jwt", "application/jwt", "application/at+jwt"]);
const segment = /^[A-Za-z0-9_-]+$/;
const tokenLengthMax = 16 * 1024;
const headerLengthMax = 2 * 1024;
const keyIdLengthMax = 128;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Splits and decodes the token, or says why not. */
export function parseJwt(token: string): JwtParts | JwtRefusal {
  if (token.length > tokenLengthMax) return "jwt-malformed";
  const segments = token.split(".", 6);
  if (segments.length === 5) return "jwt-encrypted";
  const [headerText, payloadText] = segments;
  if (segments.length !== 3 || headerText === undefined || payloadText === undefined) {
    return "jwt-malformed";
  }
  if (headerText.length > headerLengthMax || !segments.every((one) => segment.test(one))) {
    return "jwt-malformed";
  }
  // Spare bits in a segment's last character would give one token several texts (RFC 4648 3.5).
  if (!segments.every(isCanonical)) return "jwt-malformed";
  const header = decodeObject(headerText);
  const payload = decodeObject(payloadText);
  if (header === undefined || payload === undefined) return "jwt-malformed";
  return judgeHeader(header, payload);
}

function isCanonical(encoded: string): boolean {
  return Buffer.from(encoded, "base64url").toString("base64url") === encoded;
}

function judgeHeader(
  header: Readonly<Record<string, unknown>>,
  payload: JwtParts["payload"],
): JwtParts | JwtRefusal {
  if (headerMembersRefused.some((name) => Object.hasOwn(header, name))) return "jwt-header-refused";
  const { alg, kid, typ } = header;
  if (typeof alg !== "string") return "jwt-header-refused";
  if (typ !== undefined && !(typeof typ === "string" && tokenTypes.has(typ.toLowerCase()))) {
    return "jwt-header-refused";
  }
  if (kid === undefined) return { algorithm: alg, keyId: undefined, payload };
  if (typeof kid !== "string" || kid === "" || kid.length > keyIdLengthMax) {
    return "jwt-header-refused";
  }
  return { algorithm: alg, keyId: kid, payload };
}

function decodeObject(encoded: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return decodeJsonObject(utf8.decode(Buffer.from(encoded, "base64url")));
  } catch {
    return undefined;
  }
}

/** One JSON object, no member named twice: the second reading of a duplicate is how parsers are played off. */
export function decodeJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) return undefined;
    const names = readObject(text).members.map((member) => member.key);
    return new Set(names).size === names.length ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
