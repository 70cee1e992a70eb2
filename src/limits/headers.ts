/**
 * Renders a limit's state as HTTP headers: `RateLimit` and `RateLimit-Policy` as in the IETF draft
 * (draft-ietf-httpapi-ratelimit-headers), `Retry-After` as in RFC 9110. Used by the HTTP bindings.
 */
import type { LimitState } from "./limiter.ts";

export interface RateLimitHeaders {
  readonly RateLimit: string;
  readonly "RateLimit-Policy": string;
}

export function renderRateLimit(state: LimitState): RateLimitHeaders {
  const name = state.policy.split(";", 1)[0];
  return {
    RateLimit: `${name};r=${state.remaining};t=${state.resetSeconds}`,
    "RateLimit-Policy": state.policy,
  };
}

/** Whole seconds, never less than one: a client told 0 would be back too early. */
export function renderRetryAfter(retryAfterMs: number): string {
  return String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
}
