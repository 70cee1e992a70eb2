/**
 * Slows down one source of traffic before anybody is authenticated: a bucket for each source, and a pause that
 * doubles while its credentials keep failing. A source is an IPv4 address or an IPv6 /64, the least a guesser holds.
 */
import { LRUCache } from "lru-cache";
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { sourceOf } from "../lib/source-address.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { PenaltyBox } from "./penalty-box.ts";
import { type Bucket, createBucket, takeToken, waitMs } from "./token-bucket.ts";

export interface SourceLimitDeps {
  readonly requestsPerMinute: number;
  readonly burst: number;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  /** Where sources that ignore refusals are put aside; without it none is. */
  readonly penalties?: Pick<PenaltyBox, "check" | "noteRefusal">;
  /** Failed credentials that cost nothing. Default 10. */
  readonly failuresFree?: number;
  /** First pause after that; it doubles with each further failure. Default 1 s. */
  readonly penaltyMs?: number;
  /** Default 60 s. */
  readonly penaltyMsMax?: number;
  /** Failures are forgotten after this long without one. Default 10 min. */
  readonly forgetMs?: number;
  /** Sources kept. Default 50,000. */
  readonly keysMax?: number;
}

export interface SourceLimit {
  /** Counts one request; a fault where the source must wait. `nowMs` as in `Limiter.take`. */
  take(address: string, nowMs?: number): Fault | undefined;
  /** The source presented a credential that was refused. */
  noteFailure(address: string): void;
}

interface Source {
  readonly bucket: Bucket;
  failures: number;
  failedAtMs: number;
  blockedUntilMs: number;
}

export function createSourceLimit(deps: SourceLimitDeps): SourceLimit {
  const { clock, failuresFree = 10, penaltyMs = 1000, penaltyMsMax = 60_000 } = deps;
  const { forgetMs = 600_000, keysMax = 50_000 } = deps;
  const { penalties } = deps;
  const limit = { capacity: deps.burst, perMinute: deps.requestsPerMinute };
  const sources = new LRUCache<string, Source>({ max: keysMax });

  function find(key: string, nowMs: number): Source {
    const known = sources.get(key);
    if (known !== undefined) return known;
    const bucket = createBucket(limit, nowMs);
    const source = { bucket, failures: 0, failedAtMs: 0, blockedUntilMs: Number.NEGATIVE_INFINITY };
    sources.set(key, source);
    return source;
  }

  function refuse(remainingMs: number, reason: string): Fault {
    deps.metrics.count("mcp_gateway_rate_limited_total", { limit: reason });
    const retryAfterMs = Math.ceil(remainingMs);
    return createFault("rate-limited", "Too many requests from this address", {
      retryAfterMs,
      reason,
    });
  }

  return {
    take(address, nowMs = clock.monotonicMs()) {
      const key = sourceOf(address);
      const putAside = penalties?.check("source", key);
      if (putAside !== undefined) return putAside;
      const source = find(key, nowMs);
      const blockedMs = source.blockedUntilMs - nowMs;
      if (blockedMs <= 0 && takeToken(source.bucket, limit, nowMs)) return undefined;
      penalties?.noteRefusal("source", key);
      if (blockedMs > 0) return refuse(blockedMs, "source-penalty");
      return refuse(waitMs(source.bucket.tokens, limit, 1), "source-rate");
    },
    noteFailure(address) {
      const nowMs = clock.monotonicMs();
      const source = find(sourceOf(address), nowMs);
      if (nowMs - source.failedAtMs > forgetMs) source.failures = 0;
      source.failures += 1;
      source.failedAtMs = nowMs;
      const excess = source.failures - failuresFree;
      if (excess <= 0) return;
      const pauseMs = Math.min(penaltyMsMax, penaltyMs * 2 ** Math.min(excess - 1, 30));
      source.blockedUntilMs = Math.max(source.blockedUntilMs, nowMs + pauseMs);
    },
  };
}
