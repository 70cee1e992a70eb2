/**
 * DPoP proofs (RFC 9449): a signed note that says "I, who hold this key, send this token in this request now". Checked
 * against the request, against the clock and against what was seen before. Whether the token is bound to the key is
 * the caller's question: `caller-check.ts`.
 */
import { createHmac, hash, randomBytes } from "node:crypto";
import { calculateJwkThumbprint, compactVerify, importJWK, type JWK } from "jose";
import type { Clock } from "../../lib/clock.ts";
import type { Evidence } from "../principal.ts";
import type { Replays } from "./replays.ts";
import { sameBytes } from "./same-bytes.ts";

export interface DpopCheck {
  /** The thumbprint of the key that made the proof; or why it does not do. */
  verify(
    evidence: Evidence,
    token: string,
  ): Promise<
    { readonly thumbprint: string } | { readonly why: string; readonly needsNonce?: true }
  >;
  /** A nonce to be used in proofs from now on; undefined where none is asked for. */
  nonce(): string | undefined;
}

export interface DpopDeps {
  readonly clock: Clock;
  readonly replays: Replays;
  /** Oldest proof accepted. */
  readonly windowSeconds: number;
  /** Ask for a nonce of ours in every proof: then no proof can be made ahead, or used on another node. */
  readonly needsNonce: boolean;
}

export const dpopAlgorithms = ["ES256", "EdDSA", "PS256", "RS256", "ES384", "ES512"] as const;
const skewSeconds = 30;
const proofCharsMax = 8 * 1024;
/** A nonce is good in the period it was given and in the next. */
const noncePeriodMs = 120_000;
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

export function createDpopCheck(deps: DpopDeps): DpopCheck {
  const { clock, replays } = deps;
  const nonceKey = randomBytes(32);

  function nonceOf(period: number): string {
    return createHmac("sha256", nonceKey).update(String(period)).digest("base64url");
  }

  const period = () => Math.floor(clock.nowMs() / noncePeriodMs);

  function isOurNonce(nonce: unknown): boolean {
    if (typeof nonce !== "string") return false;
    return [period(), period() - 1].some((one) =>
      sameBytes(Buffer.from(nonce), Buffer.from(nonceOf(one))),
    );
  }

  async function verify(evidence: Evidence, token: string) {
    const proof = evidence.headers.get("dpop");
    if (proof === null) return { why: "a DPoP proof is needed" };
    if (proof.length > proofCharsMax) {
      return { why: `a DPoP proof holds at most ${proofCharsMax} characters` };
    }
    const opened = await openProof(proof);
    if (opened === undefined) return { why: "the DPoP proof does not verify" };
    const { claims, jwk } = opened;
    const why = checkClaims(claims, evidence, token);
    if (why !== undefined) return { why };
    if (deps.needsNonce && !isOurNonce(claims.nonce)) {
      return { why: "the DPoP proof needs the nonce of DPoP-Nonce", needsNonce: true } as const;
    }
    const thumbprint = await calculateJwkThumbprint(jwk);
    const untilMs = (Number(claims.iat) + deps.windowSeconds) * 1000;
    const taken = replays.take(`dpop:${thumbprint}`, String(claims.jti), untilMs);
    if (taken === "replayed") return { why: "the DPoP proof was used before" };
    if (taken === "full") return { why: "too many DPoP proofs are remembered; try again later" };
    return { thumbprint };
  }

  function checkClaims(
    claims: Readonly<Record<string, unknown>>,
    { method, url }: Evidence,
    token: string,
  ): string | undefined {
    const nowSeconds = clock.nowMs() / 1000;
    const { jti, htm, htu, iat, ath } = claims;
    if (typeof jti !== "string" || jti === "" || jti.length > 256)
      return "jti must be a short text";
    if (htm !== method) return "htm is not this request's method";
    if (typeof htu !== "string" || plainUri(htu) !== plainUri(url)) {
      return "htu is not this request's address";
    }
    if (typeof iat !== "number" || !Number.isFinite(iat)) return "iat must be a time";
    if (iat > nowSeconds + skewSeconds) return "iat lies in the future";
    if (iat + deps.windowSeconds < nowSeconds) return "iat is too long ago";
    const expected = hash("sha256", token, "base64url");
    if (typeof ath !== "string" || !sameBytes(Buffer.from(ath), Buffer.from(expected))) {
      return "ath is not this token's";
    }
    return undefined;
  }

  return { verify, nonce: () => (deps.needsNonce ? nonceOf(period()) : undefined) };
}

/** The claims, under the key the proof itself brings; undefined where anything about it is not as it must be. */
async function openProof(
  proof: string,
): Promise<{ readonly claims: Record<string, unknown>; readonly jwk: JWK } | undefined> {
  try {
    const header = JSON.parse(decode(proof.split(".", 1)[0] ?? ""));
    const { jwk, typ } = header;
    if (typ !== "dpop+jwt" || !isPublicJwk(jwk)) return undefined;
    const key = await importJWK(jwk, String(header.alg));
    const { payload } = await compactVerify(proof, key, { algorithms: [...dpopAlgorithms] });
    const claims: unknown = JSON.parse(new TextDecoder().decode(payload));
    return isRecord(claims) ? { claims, jwk } : undefined;
  } catch {
    // Malformed in one of a hundred ways: which, is the sender's to find out.
    return undefined;
  }
}

function isPublicJwk(value: unknown): value is JWK {
  return isRecord(value) && !privateMembers.some((member) => member in value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decode(part: string): string {
  return Buffer.from(part, "base64url").toString("utf8");
}

/** Without query and fragment, and a WebSocket's address as the HTTP request that opens it (RFC 9449, 4.3). */
function plainUri(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const scheme = url.protocol.replace(/^ws/, "http");
  return `${scheme}//${url.host}${url.pathname}`;
}
