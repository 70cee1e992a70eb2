/**
 * Whether a caller who holds a good credential may use it here and now: from this network, over this connection's
 * certificate, with the proof its token is bound to, signed as its registration asks. Called by the authenticate
 * stage, by admission, and again for what is open whenever the state changes. A refused network or certificate
 * looks like a bad token, so that a thief does not learn that the token is good.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { createNetworks, type Networks } from "../../lib/networks.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Credential, Evidence, Principal } from "../principal.ts";
import { readCertificate } from "./certificate.ts";
import { type CertifiedClient, createCertifiedClients } from "./certified.ts";
import { createDpopCheck, dpopAlgorithms } from "./dpop.ts";
import { createReplays } from "./replays.ts";
import { createSignatureCheck, type SigningClient } from "./signature.ts";
import type { SigningSecret } from "./signing-key.ts";
import { bindingOf, keyThumbprintOf } from "./token-binding.ts";

/** What a client's registration asks of its callers. */
export interface CheckedClient extends CertifiedClient, SigningClient {
  readonly allowedNetworks?: readonly string[] | undefined;
  readonly deniedNetworks?: readonly string[] | undefined;
  readonly requireSignatures?: boolean | undefined;
}

export interface CallerFacts {
  readonly credential: Credential;
  readonly peer: { readonly address: string };
  readonly evidence?: Evidence | undefined;
}

interface Directory {
  readonly clients: ReadonlyMap<string, CheckedClient>;
}

export interface CallerCheck {
  /** Who a caller without a token is, by its certificate. */
  byCertificate(certificate: Uint8Array, directory: Directory): Principal | Fault;
  /** The refusal, or undefined where the caller may go on. */
  check(
    principal: Principal,
    facts: CallerFacts,
    directory: Directory,
  ): Fault | undefined | Promise<Fault | undefined>;
  /** For a principal known by its certificate, whether it still stands; undefined for every other. */
  isCertified(principal: Principal, directory: Directory): boolean | undefined;
  /** Whether `check` would pass without looking at a new proof: for what is open already. */
  holds(principal: Principal, facts: CallerFacts, directory: Directory): boolean;
}

export interface CallerCheckDeps {
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  readonly secretOf: SigningSecret;
  readonly proofWindowSeconds: number;
  readonly proofsRememberedMax: number;
  readonly dpopNonce: boolean;
}

/** What an evidence has proven: asked once, since the same proof is never good twice. */
interface Proven {
  signature?: { readonly clientId: string; readonly keyId: string };
  dpop?: { readonly thumbprint: string };
  /** Asked once by all messages of a batch. */
  dpopAsked?: Promise<Fault | undefined>;
}

interface Ranges {
  readonly allowed: Networks;
  readonly denied: Networks;
}

export function createCallerCheck(deps: CallerCheckDeps): CallerCheck {
  const { clock, metrics } = deps;
  const replays = createReplays({ clock, usedMax: deps.proofsRememberedMax });
  const windowSeconds = deps.proofWindowSeconds;
  const signatures = createSignatureCheck({
    clock,
    replays,
    windowSeconds,
    secretOf: deps.secretOf,
  });
  const dpop = createDpopCheck({ clock, replays, windowSeconds, needsNonce: deps.dpopNonce });
  const certified = createCertifiedClients(clock);
  const proven = new WeakMap<Evidence, Proven>();
  const ranges = new WeakMap<CheckedClient, Ranges>();

  function refuse(reason: string): Fault {
    metrics.count("mcp_gateway_auth_failures_total", { reason });
    const challenge = 'error="invalid_token"';
    return createFault("unauthenticated", "Authentication required", { challenge, reason });
  }

  function provenBy(evidence: Evidence): Proven {
    const known = proven.get(evidence);
    if (known !== undefined) return known;
    const made: Proven = {};
    proven.set(evidence, made);
    return made;
  }

  function rangesOf(client: CheckedClient): Ranges {
    const known = ranges.get(client);
    if (known !== undefined) return known;
    const made = {
      allowed: createNetworks(client.allowedNetworks ?? []),
      denied: createNetworks(client.deniedNetworks ?? []),
    };
    ranges.set(client, made);
    return made;
  }

  /** Everything that needs no proof of this very request. */
  function checkStanding(
    principal: Principal,
    client: CheckedClient | undefined,
    facts: CallerFacts,
  ): string | undefined {
    if (client !== undefined && hasNetworks(client)) {
      const { allowed, denied } = rangesOf(client);
      const { address } = facts.peer;
      if (denied.has(address)) return "network-denied";
      if (!allowed.isEmpty && !allowed.has(address)) return "network-not-allowed";
    }
    const der = facts.evidence?.certificate;
    const certificate = der === undefined ? undefined : readCertificate(der);
    const named = client?.certificates ?? [];
    if (named.length > 0 && !named.some((name) => certificate?.names.has(name))) {
      return "certificate-missing";
    }
    const binding = bindingOf(principal);
    if (binding === undefined) return undefined;
    if (binding === "unknown") return "token-binding-unknown";
    const isBound = binding.certificate !== undefined;
    return isBound && certificate?.thumbprint !== binding.certificate
      ? "token-bound-to-certificate"
      : undefined;
  }

  function checkSignature(client: CheckedClient, evidence: Evidence | undefined) {
    if (!isSigned(evidence)) {
      return client.requireSignatures === true
        ? refuseSignature("a signature is needed")
        : undefined;
    }
    const known = provenBy(evidence);
    if (isSignedBy(client, known)) return undefined;
    const verdict = signatures.verify(evidence, client);
    if ("why" in verdict) return refuseSignature(verdict.why);
    known.signature = { clientId: client.id, keyId: verdict.keyId };
    return undefined;
  }

  function refuseSignature(why: string): Fault {
    metrics.count("mcp_gateway_auth_failures_total", { reason: "signature" });
    return createFault("unauthenticated", `Request signature refused: ${why}`, {
      challenge: 'error="invalid_token", error_description="request signature"',
      reason: "signature",
    });
  }

  async function checkDpop(
    facts: CallerFacts,
    evidence: Evidence,
    thumbprint: string,
  ): Promise<Fault | undefined> {
    const { credential } = facts;
    const token = credential.kind === "bearer" ? credential.token : "";
    const verdict = await dpop.verify(evidence, token);
    if ("why" in verdict) return refuseDpop(verdict.why, verdict.needsNonce === true);
    if (verdict.thumbprint !== thumbprint) {
      return refuseDpop("the DPoP proof is by another key", false);
    }
    provenBy(evidence).dpop = verdict;
    return undefined;
  }

  function refuseDpop(why: string, needsNonce: boolean): Fault {
    metrics.count("mcp_gateway_auth_failures_total", { reason: "dpop" });
    const nonce = dpop.nonce();
    const error = needsNonce ? "use_dpop_nonce" : "invalid_dpop_proof";
    return createFault("unauthenticated", `Authentication required: ${why}`, {
      scheme: "DPoP",
      challenge: `error="${error}", algs="${dpopAlgorithms.join(" ")}"`,
      ...(nonce === undefined ? {} : { fields: { "dpop-nonce": nonce } }),
      reason: "dpop",
    });
  }

  return {
    byCertificate(certificate, directory) {
      const found = certified.identify(certificate, directory.clients);
      return "reason" in found ? refuse(found.reason) : found;
    },
    check(principal, facts, directory) {
      const client = clientOf(principal, directory);
      const standing = checkStanding(principal, client, facts);
      if (standing !== undefined) return refuse(standing);
      const { evidence } = facts;
      const unsigned = mustSign(client) ? checkSignature(client, evidence) : undefined;
      if (unsigned !== undefined) return unsigned;
      const thumbprint = keyThumbprintOf(principal);
      const isPromised = isDpop(facts.credential);
      if (thumbprint === undefined) return isPromised ? refuse("token-not-bound") : undefined;
      // Presented as a bearer token, it is one that somebody may have found (RFC 9449, 7.1).
      if (!isPromised) return refuse("token-bound-to-key");
      if (evidence === undefined) return refuseDpop("a DPoP proof is needed", false);
      const known = provenBy(evidence);
      if (known.dpop?.thumbprint === thumbprint) return undefined;
      known.dpopAsked ??= checkDpop(facts, evidence, thumbprint);
      return known.dpopAsked;
    },
    isCertified: (principal, directory) => certified.stillValid(principal, directory.clients),
    holds(principal, facts, directory) {
      const client = clientOf(principal, directory);
      if (checkStanding(principal, client, facts) !== undefined) return false;
      const known = facts.evidence && proven.get(facts.evidence);
      if (mustSign(client) && (isSigned(facts.evidence) || client.requireSignatures === true)) {
        if (!isSignedBy(client, known)) return false;
      }
      const thumbprint = keyThumbprintOf(principal);
      return thumbprint === undefined
        ? !isDpop(facts.credential)
        : known?.dpop?.thumbprint === thumbprint;
    },
  };
}

function clientOf(principal: Principal, { clients }: Directory): CheckedClient | undefined {
  return principal.clientId === undefined ? undefined : clients.get(principal.clientId);
}

function hasNetworks({ allowedNetworks, deniedNetworks }: CheckedClient): boolean {
  return (allowedNetworks?.length ?? 0) > 0 || (deniedNetworks?.length ?? 0) > 0;
}

/** With keys registered, a signature that comes must be good, whether or not one has to come. */
function mustSign(client: CheckedClient | undefined): client is CheckedClient {
  if (client === undefined) return false;
  return client.requireSignatures === true || (client.signingKeys?.length ?? 0) > 0;
}

function isSigned(evidence: Evidence | undefined): evidence is Evidence {
  return evidence !== undefined && evidence.headers.get("signature-input") !== null;
}

function isDpop(credential: Credential): boolean {
  return credential.kind === "bearer" && credential.scheme === "dpop";
}

/** By a key the client still has: one that was taken away no longer vouches for what it opened. */
function isSignedBy(client: CheckedClient, known: Proven | undefined): boolean {
  const signature = known?.signature;
  if (signature === undefined || signature.clientId !== client.id) return false;
  return (client.signingKeys ?? []).some(({ keyId }) => keyId === signature.keyId);
}
