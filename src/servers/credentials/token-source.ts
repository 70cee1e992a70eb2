/**
 * Where the tokens for one server come from: the gateway's own, and for a token exchange one for each user. What was
 * found out about the authorization server is kept for a while and shared by all. Called by `entry.ts`.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { EgressFetch } from "../egress-fetch.ts";
import type { OAuthClient, ServerSpec } from "../spec.ts";
import { type Credentials, createCredentials, type Learned } from "./credentials.ts";
import { findTokenPlace, type TokenPlace } from "./discovery.ts";
import { refusedBy } from "./refusal.ts";
import { requestToken } from "./token-request.ts";

/** A user's own token and how long it holds, as of now. */
export interface SubjectToken {
  readonly token: string;
  readonly expiresAtMs: number | undefined;
}

export interface TokenSource {
  /** The gateway's own, for what it asks by itself. */
  own(): Credentials;
  /** `subject` is asked for the user's token each time one is exchanged. */
  forUser(subject: () => SubjectToken): Credentials;
}

export interface TokenSourceOptions {
  readonly spec: Pick<ServerSpec, "name" | "allowPrivateNetwork">;
  readonly serverUrl: string;
  readonly client: OAuthClient;
  readonly fetch: EgressFetch;
  readonly clock: Clock;
  readonly log: Log;
}

const placeTtlMs = 3_600_000;

export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const { spec, serverUrl, client, fetch, clock, log } = options;
  const server = spec.name;
  const { allowPrivateNetwork } = spec;
  const learned: Learned = { scopes: client.scopes, metadataUrl: undefined };
  let known:
    | { readonly from: string | undefined; readonly untilMs: number; readonly place: TokenPlace }
    | undefined;

  async function findPlace(): Promise<TokenPlace> {
    const { metadataUrl } = learned;
    const isKnown = known?.from === metadataUrl && clock.monotonicMs() < (known?.untilMs ?? 0);
    if (known !== undefined && isKnown) return known.place;
    const discovery = { server, serverUrl, client, allowPrivateNetwork, fetch };
    const place = await findTokenPlace(discovery, metadataUrl);
    known = { from: metadataUrl, untilMs: clock.monotonicMs() + placeTtlMs, place };
    return place;
  }

  function create(subject: (() => SubjectToken) | undefined): Credentials {
    return createCredentials({
      hasFixedScopes: client.scopes !== undefined,
      learned,
      asksFirst: subject === undefined && client.tokenUrl === undefined,
      clock,
      async obtain() {
        try {
          const place = await findPlace();
          const scopes = learned.scopes ?? place.scopes;
          const from = subject?.();
          const subjectToken = from?.token;
          const request = { server, client, place, scopes, subjectToken, fetch, clock };
          const issued = await requestToken(request);
          log.debug("upstream.token", {
            server,
            grant: client.grant,
            lifetimeMs: issued.lifetimeMs,
          });
          return { ...issued, lifetimeMs: Math.min(issued.lifetimeMs, leftMs(from)) };
        } catch (error) {
          // The next attempt looks again: an authorization server that moved is found by then.
          known = undefined;
          const failure = asRefusal(server, error);
          log.warn("upstream.no-token", { server, reason: failure.fault.reason });
          throw failure;
        }
      },
    });
  }

  /** What was made from a token never outlives it. */
  function leftMs(subject: SubjectToken | undefined): number {
    if (subject?.expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(0, subject.expiresAtMs - clock.nowMs());
  }

  return { own: () => create(undefined), forUser: create };
}

function asRefusal(server: string, error: unknown): GatewayError {
  if (!(error instanceof GatewayError)) {
    return refusedBy(server, `oauth-metadata: ${String(error).slice(0, 100)}`);
  }
  const { fault } = error;
  return fault.name === "invalid-params" ? refusedBy(server, fault.reason ?? fault.name) : error;
}
