/**
 * Turns a credential into a principal, or into a 401 that says nothing about why. Called by the authenticate stage
 * for every message and by dispatch when a connection opens. Client tokens and remembered JWTs are answered without
 * a promise; whatever throws ends as a refusal, never as a principal.
 */
import { LRUCache } from "lru-cache";
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Endpoint } from "./audience.ts";
import { isClientToken, sameDigest, type TokenHasher } from "./client-token.ts";
import type { JwtVerifier, VerifiedJwt } from "./jwt.ts";
import type { Credential, Principal } from "./principal.ts";
import { isRevoked, type Revocations } from "./revocations.ts";
import { createSteadyTime } from "./steady-time.ts";

/** The snapshot's clients and tokens, as far as identity cares. */
export interface Directory {
  /** By hex digest. */
  readonly tokens: ReadonlyMap<string, DirectoryToken>;
  readonly clients: ReadonlyMap<string, DirectoryClient>;
  /** What operators revoked of other issuers' tokens. */
  readonly revocations?: Revocations;
}

export interface DirectoryToken {
  readonly clientId: string;
  readonly digest: string;
  readonly expiresAtMs: number | undefined;
}

export interface DirectoryClient {
  readonly id: string;
  readonly enabled: boolean;
  readonly roles: readonly string[];
  /** Its principals are of this tenant; undefined = of none, or of the one that their tokens name. */
  readonly tenant?: string | undefined;
}

export interface AuthenticatorDeps {
  readonly hashToken: TokenHasher;
  /** Undefined where no issuer is configured: JWTs are refused. */
  readonly jwt: JwtVerifier | undefined;
  /** Calls without a credential get the principal `anonymous`, which holds no role. */
  readonly allowAnonymous: boolean;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  /** Told when the clock was set back: what expired stays expired, and the operator should know why. */
  readonly onClockJump?: (behindMs: number) => void;
  /** Verified JWTs remembered. Default 10,000. */
  readonly rememberedMax?: number;
  /** How long a verification is remembered at most. Default 60 s, so a withdrawn key stops working by then. */
  readonly rememberMs?: number;
}

export interface Authenticator {
  /** `endpoint` is where the credential is presented: some tokens are for one endpoint alone. */
  authenticate(
    credential: Credential,
    directory: Directory,
    endpoint?: Endpoint,
  ): Principal | Fault | Promise<Principal | Fault>;
  /** Whether a principal admitted earlier would still be admitted. */
  stillValid(principal: Principal, directory: Directory): boolean;
}

/** A token of another issuer on its way to a principal. */
interface Presented {
  readonly digest: string;
  readonly directory: Directory;
  readonly endpoint: Endpoint | undefined;
}

const credentialLengthMax = 16 * 1024;

const anonymous: Principal = Object.freeze({
  kind: "anonymous",
  id: "anonymous",
  clientId: undefined,
  subject: undefined,
  issuer: undefined,
  tenant: undefined,
  workspace: undefined,
  roles: [],
  groups: [],
  scopes: undefined,
  acr: undefined,
  amr: [],
  authenticatedAtMs: undefined,
  claims: undefined,
  expiresAtMs: undefined,
  credentialDigest: "",
});

export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const { hashToken, jwt, metrics } = deps;
  const rememberMs = deps.rememberMs ?? 60_000;
  const nowMs = createSteadyTime(deps.clock, deps.onClockJump);
  const remembered = new LRUCache<
    string,
    { readonly verified: VerifiedJwt; readonly atMs: number }
  >({ max: deps.rememberedMax ?? 10_000 });
  const principals = createPrincipals();
  const verifiedOf = new WeakMap<Principal, VerifiedJwt>();

  function refuse(reason: string, label = reason): Fault {
    metrics.count("mcp_gateway_auth_failures_total", { reason: label });
    const challenge = reason === "no-credential" ? {} : { challenge: 'error="invalid_token"' };
    return createFault("unauthenticated", "Authentication required", { ...challenge, reason });
  }

  function byClientToken(digest: string, directory: Directory): Principal | Fault {
    const token = directory.tokens.get(digest);
    if (token === undefined || !sameDigest(token.digest, digest)) return refuse("token-unknown");
    const client = directory.clients.get(token.clientId);
    if (client === undefined) return refuse("client-unknown");
    if (!client.enabled) return refuse("client-disabled");
    if (token.expiresAtMs !== undefined && nowMs() >= token.expiresAtMs) {
      return refuse("token-expired");
    }
    return principals.ofToken(token, client);
  }

  function byVerifiedJwt(verified: VerifiedJwt, { digest, directory, endpoint }: Presented) {
    if (jwt?.fits(verified, endpoint) !== true) return refuse("jwt-audience");
    if (isRevoked(directory.revocations, verified.claims)) return refuse("token-revoked");
    const { clientId } = verified.claims;
    const client = clientId === undefined ? undefined : directory.clients.get(clientId);
    if (client?.enabled === false) return refuse("client-disabled");
    if (!isOfTenant(verified, client)) return refuse("client-tenant");
    const principal = principals.ofJwt(verified, client, digest);
    verifiedOf.set(principal, verified);
    return principal;
  }

  function byJwt(token: string, presented: Presented) {
    const { digest } = presented;
    const known = remembered.get(digest);
    const isRecent = known !== undefined && deps.clock.monotonicMs() - known.atMs < rememberMs;
    if (isRecent && known.verified.word?.isFresh() !== false) {
      const refusal = jwt?.recheck(known.verified);
      if (refusal === undefined) return byVerifiedJwt(known.verified, presented);
      remembered.delete(digest);
      return refuse(refusal);
    }
    return verifyJwt(token, presented);
  }

  async function verifyJwt(token: string, presented: Presented) {
    const { digest } = presented;
    try {
      const verified = (await jwt?.verify(token, digest)) ?? "jwt-issuer-unknown";
      if (typeof verified === "string") {
        remembered.delete(digest);
        return refuse(verified);
      }
      // A second verification of one token keeps the first result, and with it the principal's identity.
      const same = remembered.get(digest)?.verified;
      const kept = same !== undefined && isSame(same, verified) ? same : verified;
      remembered.set(digest, { verified: kept, atMs: deps.clock.monotonicMs() });
      return byVerifiedJwt(kept, presented);
    } catch {
      return refuse("verifier-failed");
    }
  }

  function authenticate(credential: Credential, directory: Directory, endpoint?: Endpoint) {
    if (credential.kind === "unusable") return refuse(credential.reason, "credential-unusable");
    if (credential.kind === "none") {
      return deps.allowAnonymous ? anonymous : refuse("no-credential");
    }
    // A certificate is not ours to judge: whoever asks here brought no token.
    if (credential.kind === "certificate") return refuse("credential-unusable");
    const { token } = credential;
    if (token === "" || token.length > credentialLengthMax) return refuse("token-malformed");
    const digest = hashToken(token);
    return isClientToken(token)
      ? byClientToken(digest, directory)
      : byJwt(token, { digest, directory, endpoint });
  }

  function stillValid(principal: Principal, directory: Directory): boolean {
    if (principal.kind === "anonymous") return deps.allowAnonymous;
    if (principal.expiresAtMs !== undefined && nowMs() >= principal.expiresAtMs) return false;
    const { clientId } = principal;
    const client = clientId === undefined ? undefined : directory.clients.get(clientId);
    if (principal.kind === "client") {
      const token = directory.tokens.get(principal.credentialDigest);
      if (token?.clientId !== clientId || client?.enabled !== true) return false;
      // What was opened as one tenant's does not go on as another's.
      return client.tenant === principal.tenant;
    }
    const verified = verifiedOf.get(principal);
    if (verified === undefined || client?.enabled === false) return false;
    if (tenantOf(verified, client) !== principal.tenant) return false;
    if (isRevoked(directory.revocations, verified.claims)) return false;
    return jwt?.recheck(verified) === undefined;
  }

  return {
    authenticate(credential, directory, endpoint) {
      try {
        return authenticate(credential, directory, endpoint);
      } catch {
        return refuse("verifier-failed");
      }
    },
    stillValid(principal, directory) {
      try {
        return stillValid(principal, directory);
      } catch {
        return false;
      }
    },
  };
}

/**
 * Builds principals, and gives the same object for the same credential and client registration: later stages
 * remember what they worked out about a principal by its identity.
 */
function createPrincipals() {
  const made = new WeakMap<
    object,
    { readonly from: DirectoryClient | undefined; readonly principal: Principal }
  >();

  function once(key: object, from: DirectoryClient | undefined, build: () => Principal): Principal {
    const known = made.get(key);
    if (known !== undefined && known.from === from) return known.principal;
    const principal = Object.freeze(build());
    made.set(key, { from, principal });
    return principal;
  }

  return {
    ofToken: (token: DirectoryToken, client: DirectoryClient) =>
      once(token, client, () => ({
        ...anonymous,
        kind: "client",
        id: `client:${client.id}`,
        clientId: client.id,
        tenant: client.tenant,
        roles: client.roles,
        expiresAtMs: token.expiresAtMs,
        credentialDigest: token.digest,
      })),
    ofJwt: (verified: VerifiedJwt, client: DirectoryClient | undefined, digest: string) =>
      once(verified, client, () => {
        const { issuer, subject, clientId, roles, groups, expiresAtMs } = verified.claims;
        const { workspace, scopes, acr, amr, authenticatedAtMs, payload } = verified.claims;
        return {
          kind: "user",
          id: `user:${issuer}#${subject}`,
          clientId,
          subject,
          issuer,
          tenant: tenantOf(verified, client),
          workspace,
          roles: [...new Set([...roles, ...(client?.roles ?? [])])],
          groups,
          scopes,
          acr,
          amr,
          authenticatedAtMs,
          claims: payload,
          expiresAtMs,
          credentialDigest: digest,
        };
      }),
  };
}

/** A token that names another tenant than its client's is no token of that client. */
function isOfTenant({ claims }: VerifiedJwt, client: DirectoryClient | undefined): boolean {
  if (claims.tenant === undefined || client?.tenant === undefined) return true;
  return claims.tenant === client.tenant;
}

/** Of a client without a tenant, such as an application that tenants share, the token says whose its user is. */
function tenantOf({ claims }: VerifiedJwt, client: DirectoryClient | undefined) {
  return client?.tenant ?? claims.tenant;
}

/** What an issuer is asked about may change in what it says of a token; what is signed may not. */
function isSame(one: VerifiedJwt, other: VerifiedJwt): boolean {
  if (one.keyName !== other.keyName) return false;
  return other.word === undefined || Bun.deepEquals(one.claims.payload, other.claims.payload);
}
