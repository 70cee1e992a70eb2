/**
 * Whether a request carries a good signature of its client (RFC 9421), over enough of itself, made just now, and for
 * the first time (A07). The client's registered keys decide who it is and by which algorithm; `alg` may only agree.
 */
import { type InnerList, parseDictionary } from "structured-headers";
import type { Clock } from "../../lib/clock.ts";
import type { Evidence } from "../principal.ts";
import { checkContentDigest } from "./content-digest.ts";
import type { Replays } from "./replays.ts";
import { buildSignatureBase, UncoveredError } from "./signature-base.ts";
import {
  createVerifier,
  type SigningKey,
  type SigningSecret,
  type VerifyBase,
} from "./signing-key.ts";

export interface SigningClient {
  readonly id: string;
  readonly signingKeys?: readonly SigningKey[] | undefined;
}

export interface SignatureCheck {
  /** The key that signed; or, in plain words, why the signature does not do. */
  verify(
    evidence: Evidence,
    client: SigningClient,
  ): { readonly keyId: string } | { readonly why: string };
}

export interface SignatureDeps {
  readonly clock: Clock;
  readonly replays: Replays;
  readonly secretOf: SigningSecret;
  /** Oldest signature accepted. */
  readonly windowSeconds: number;
}

interface Candidate {
  readonly key: SigningKey;
  readonly covered: InnerList;
  readonly signature: Uint8Array;
}

/** How far ahead a signer's clock may be. */
const skewSeconds = 30;
const signaturesMax = 8;
const headerCharsMax = 8 * 1024;
const nonceForm = /^[\x20-\x7e]{16,128}$/;

export function createSignatureCheck(deps: SignatureDeps): SignatureCheck {
  const { clock, replays } = deps;
  const verifiers = new WeakMap<SigningKey, VerifyBase>();

  function verifierOf(client: SigningClient, key: SigningKey): VerifyBase {
    const known = verifiers.get(key);
    if (known !== undefined) return known;
    const made = createVerifier(client.id, key, deps.secretOf);
    verifiers.set(key, made);
    return made;
  }

  /** When the signature stops being acceptable, in seconds since the epoch. */
  function checkTimes([, parameters]: InnerList): number | { readonly why: string } {
    const nowSeconds = clock.nowMs() / 1000;
    const created = parameters.get("created");
    const expires = parameters.get("expires");
    if (!isSeconds(created)) return { why: "it needs created, in whole seconds" };
    if (created > nowSeconds + skewSeconds) return { why: "created lies in the future" };
    const oldest = created + deps.windowSeconds;
    if (oldest < nowSeconds) return { why: `created is more than ${deps.windowSeconds} s ago` };
    if (expires === undefined) return oldest;
    if (!isSeconds(expires)) return { why: "expires must be in whole seconds" };
    if (expires <= nowSeconds) return { why: "it has expired" };
    return Math.min(oldest, expires);
  }

  function verifyOne(
    evidence: Evidence,
    client: SigningClient,
    { key, covered, signature }: Candidate,
  ): string | undefined {
    const [, parameters] = covered;
    const alg = parameters.get("alg");
    if (alg !== undefined && alg !== key.algorithm) return `alg must be ${key.algorithm}`;
    const until = checkTimes(covered);
    if (typeof until !== "number") return until.why;
    const nonce = parameters.get("nonce");
    if (typeof nonce !== "string" || !nonceForm.test(nonce)) {
      return "it needs a nonce of 16 to 128 characters";
    }
    const missing = findUncovered(evidence, covered) ?? checkBody(evidence);
    if (missing !== undefined) return missing;
    const base = buildSignatureBase(evidence, covered);
    if (!verifierOf(client, key)(base, signature)) return "it does not verify";
    // Last, so that nobody but the client can fill the memory or use up its nonces.
    const taken = replays.take(`signature:${client.id}:${key.keyId}`, nonce, until * 1000);
    if (taken === "replayed") return "its nonce was used before";
    return taken === "full" ? "too many nonces are remembered; try again later" : undefined;
  }

  return {
    verify(evidence, client) {
      try {
        const candidate = findCandidate(evidence, client.signingKeys ?? []);
        if ("why" in candidate) return candidate;
        const why = verifyOne(evidence, client, candidate);
        return why === undefined ? { keyId: candidate.key.keyId } : { why };
      } catch (cause) {
        // Anything else is a malformed key or signature: the library's words stay here.
        return { why: cause instanceof UncoveredError ? cause.message : "it does not verify" };
      }
    },
  };
}

/** The one signature of the request that is by a key of this client; a proxy's own may stand beside it. */
function findCandidate(
  { headers }: Evidence,
  keys: readonly SigningKey[],
): Candidate | { readonly why: string } {
  const inputField = headers.get("signature-input");
  const signatureField = headers.get("signature");
  if (inputField === null || signatureField === null) {
    return { why: "Signature and Signature-Input are needed" };
  }
  if (inputField.length > headerCharsMax || signatureField.length > headerCharsMax) {
    return { why: `Signature and Signature-Input hold at most ${headerCharsMax} characters` };
  }
  const inputs = readDictionary(inputField);
  const signatures = readDictionary(signatureField);
  if (inputs === undefined || signatures === undefined || inputs.size > signaturesMax) {
    const form = `dictionaries of at most ${signaturesMax} members`;
    return { why: `Signature and Signature-Input must be ${form}` };
  }
  const found: Candidate[] = [];
  for (const [label, covered] of inputs) {
    const key = keys.find(({ keyId }) => keyId === covered[1].get("keyid"));
    const signature = signatures.get(label)?.[0];
    if (key === undefined || !isInnerList(covered)) continue;
    if (!(signature instanceof ArrayBuffer)) return { why: `Signature has no bytes for ${label}` };
    found.push({ key, covered, signature: new Uint8Array(signature) });
  }
  const [only, ...more] = found;
  if (only === undefined) return { why: "its keyid is not one of this client's keys" };
  return more.length === 0 ? only : { why: "there must be one signature by this client's keys" };
}

/** What must be signed for the signature to mean this request and no other. */
function findUncovered(evidence: Evidence, [components]: InnerList): string | undefined {
  const covered = new Set(components.map(([name]) => name));
  const whole = covered.has("@target-uri") || covered.has("@request-target");
  const hasQuery = evidence.url.includes("?");
  const needed = [
    "@method",
    ...(covered.has("@target-uri") ? [] : ["@authority"]),
    ...(whole ? [] : ["@path", ...(hasQuery ? ["@query"] : [])]),
    ...(evidence.headers.get("authorization") === null ? [] : ["authorization"]),
    ...(hasBody(evidence) ? ["content-digest"] : []),
  ];
  const missing = needed.filter((name) => !covered.has(name));
  return missing.length === 0 ? undefined : `it must also cover ${missing.join(", ")}`;
}

function checkBody(evidence: Evidence): string | undefined {
  const field = evidence.headers.get("content-digest");
  if (field === null) return undefined;
  // A body nobody read cannot be vouched for.
  if (hasBody(evidence) && evidence.body === undefined) return "this request takes no body";
  return checkContentDigest(field, evidence.body ?? new Uint8Array());
}

function hasBody({ headers }: Evidence): boolean {
  const length = headers.get("content-length");
  return headers.get("transfer-encoding") !== null || (length !== null && length !== "0");
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isInnerList(member: unknown): member is InnerList {
  return Array.isArray(member) && Array.isArray(member[0]);
}

function readDictionary(field: string): ReturnType<typeof parseDictionary> | undefined {
  try {
    return parseDictionary(field);
  } catch {
    return undefined;
  }
}
