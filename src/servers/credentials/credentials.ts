/**
 * One access token for one server: fetched once for all who wait, remembered until shortly before it expires, dropped
 * when the server refuses it. How often a server may send us for another is bounded, so that a server that refuses
 * everything costs no token for each call. `token-source.ts` says where tokens come from.
 */
import type { Clock } from "../../lib/clock.ts";
import { readChallenge } from "./challenge.ts";
import type { IssuedToken } from "./token-request.ts";

export interface Credentials {
  /**
   * The `Authorization` value; a promise where it must be fetched first, which may reject GatewayError upstream-*.
   * Undefined for the one request that goes without, so that the server says what it wants.
   */
  authorization(): string | undefined | Promise<string>;
  /**
   * What the server answered to a request with `used`; true where the request may be made again with another token.
   * Only a request that the server refused unread by its status comes here.
   */
  refused(used: string | undefined, status: number, challenge: string | undefined): boolean;
  /** The server took it. */
  accepted(used: string | undefined): void;
}

/** What a server's challenges told, shared by all its credentials. */
export interface Learned {
  scopes: readonly string[] | undefined;
  metadataUrl: string | undefined;
}

export interface CredentialsOptions {
  /** The operator named them: they never grow. */
  readonly hasFixedScopes: boolean;
  readonly learned: Learned;
  /** The first request goes without a credential. Only where it is a handshake of ours. */
  readonly asksFirst: boolean;
  readonly obtain: () => Promise<IssuedToken>;
  readonly clock: Clock;
}

/** Tokens are replaced this long before they expire, or with a tenth of their life left. */
const marginMsMax = 30_000;
const refusalsMax = 2;
const refusalWindowMs = 30_000;
const failurePauseMs = 1_000;
const failurePauseMsMax = 30_000;
const scopesMax = 64;

export function createCredentials(options: CredentialsOptions): Credentials {
  const { clock, learned } = options;
  let { asksFirst } = options;
  let token: { readonly authorization: string; readonly untilMs: number } | undefined;
  let pending: Promise<string> | undefined;
  let failure: { readonly error: unknown; readonly untilMs: number } | undefined;
  let failures = 0;
  let refusals = 0;
  let dropped: string | undefined;
  let refusedAtMs = Number.NEGATIVE_INFINITY;

  async function obtain(): Promise<string> {
    try {
      const { value, lifetimeMs } = await options.obtain();
      const authorization = `Bearer ${value}`;
      const margin = Math.min(marginMsMax, lifetimeMs / 10);
      token = { authorization, untilMs: clock.monotonicMs() + lifetimeMs - margin };
      failure = undefined;
      failures = 0;
      return authorization;
    } catch (error) {
      const pauseMs = Math.min(failurePauseMsMax, failurePauseMs * 2 ** Math.min(failures, 5));
      failures += 1;
      failure = { error, untilMs: clock.monotonicMs() + pauseMs };
      throw error;
    } finally {
      pending = undefined;
    }
  }

  /** What the server asks for, where the operator left it open. Returns whether that is anything new. */
  function learn(asked: readonly string[] | undefined): boolean {
    if (options.hasFixedScopes || asked === undefined) return false;
    const union = [...new Set([...(learned.scopes ?? []), ...asked])];
    if (union.length === learned.scopes?.length || union.length > scopesMax) return false;
    learned.scopes = union;
    return true;
  }

  return {
    authorization() {
      if (asksFirst) {
        asksFirst = false;
        return undefined;
      }
      const nowMs = clock.monotonicMs();
      if (token !== undefined && nowMs < token.untilMs) return token.authorization;
      if (pending === undefined && failure !== undefined && nowMs < failure.untilMs) {
        return Promise.reject(failure.error);
      }
      pending ??= obtain();
      return pending;
    },
    refused(used, status, header) {
      // Somebody else has replaced it already, or is about to.
      const isOld = token === undefined ? used === dropped : used !== token.authorization;
      if (isOld && (used !== undefined || token !== undefined)) return true;
      const challenge = readChallenge(header);
      const nowMs = clock.monotonicMs();
      if (nowMs - refusedAtMs > refusalWindowMs) refusals = 0;
      if (refusals >= refusalsMax) return false;
      const needsMore = status === 403 && challenge.error === "insufficient_scope";
      const hasLearned = learn(challenge.scopes);
      if (status !== 401 && !(needsMore && hasLearned)) return false;
      // To have asked without one is no refusal of ours.
      if (used !== undefined) refusals += 1;
      refusedAtMs = nowMs;
      learned.metadataUrl = challenge.metadataUrl ?? learned.metadataUrl;
      dropped = used;
      token = undefined;
      return true;
    },
    accepted(used) {
      if (refusals > 0 && token?.authorization === used) refusals = 0;
    },
  };
}
