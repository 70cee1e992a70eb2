/**
 * Decides whether a client may make one more call: a bucket for the client, then one for the client and the tool.
 * Called by the rate-limit stage. Both kinds of bucket are bounded; a bucket that falls out starts full again.
 */
import { LRUCache } from "lru-cache";
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import {
  type Bucket,
  type BucketLimit,
  createBucket,
  returnToken,
  takeToken,
  waitMs,
} from "./token-bucket.ts";

export interface LimitSettings {
  readonly requestsPerMinute: number;
  readonly burst: number;
  readonly toolRequestsPerMinute: number;
  readonly toolBurst: number;
}

/** Where the tightest bucket stands; the shape of `Reply.limit`. */
export interface LimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the bucket is full again. */
  readonly resetSeconds: number;
  /** The quota as a `RateLimit-Policy` item: `"client";q=60;w=60`. */
  readonly policy: string;
}

export type LimitVerdict =
  | { readonly allowed: true; readonly state: LimitState }
  | { readonly allowed: false; readonly state: LimitState; readonly fault: Fault };

export interface LimiterDeps {
  readonly defaults: LimitSettings;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  /** Buckets kept of each kind. Default 50,000. */
  readonly keysMax?: number;
}

export interface LimitQuestion {
  /** The principal's id. */
  readonly clientKey: string;
  /** The tool as the agent named it, joined with its scope; undefined where the call names no tool. */
  readonly tool: string | undefined;
  /** Overrides of the defaults. */
  readonly limits: Partial<LimitSettings>;
}

export interface Limiter {
  take(question: LimitQuestion): LimitVerdict;
}

interface Filled {
  readonly name: "client" | "tool";
  readonly bucket: Bucket;
  readonly limit: BucketLimit;
}

/** Tool names come from agents: those longer than any real name share one bucket. */
const toolLengthMax = 256;

export function createLimiter({
  defaults,
  clock,
  metrics,
  keysMax = 50_000,
}: LimiterDeps): Limiter {
  // Two maps: were there one, a client could push its own empty bucket out by naming many tools.
  const clients = new LRUCache<string, Bucket>({ max: keysMax });
  const tools = new LRUCache<string, Bucket>({ max: keysMax });

  function find(name: Filled["name"], key: string, limit: BucketLimit, nowMs: number): Filled {
    const buckets = name === "client" ? clients : tools;
    const known = buckets.get(key);
    if (known !== undefined) return { name, bucket: known, limit };
    const bucket = createBucket(limit, nowMs);
    buckets.set(key, bucket);
    return { name, bucket, limit };
  }

  function refuse(filled: Filled): LimitVerdict {
    metrics.count("mcp_gateway_rate_limited_total", { limit: filled.name });
    const state = stateOf(filled);
    const fault = createFault("rate-limited", `Rate limited by the ${filled.name} limit`, {
      retryAfterMs: Math.ceil(waitMs(filled.bucket, filled.limit, 1)),
      reason: `${filled.name}-rate`,
    });
    return { allowed: false, state, fault };
  }

  return {
    take({ clientKey, tool, limits }) {
      const nowMs = clock.monotonicMs();
      const ofClient = find("client", clientKey, clientLimit(limits, defaults), nowMs);
      if (!takeToken(ofClient.bucket, ofClient.limit, nowMs)) return refuse(ofClient);
      if (tool === undefined) return { allowed: true, state: stateOf(ofClient) };
      const toolName = tool.length > toolLengthMax ? "" : tool;
      const key = `${clientKey.length} ${clientKey}${toolName}`;
      const ofTool = find("tool", key, toolLimit(limits, defaults), nowMs);
      if (!takeToken(ofTool.bucket, ofTool.limit, nowMs)) {
        returnToken(ofClient.bucket, ofClient.limit);
        return refuse(ofTool);
      }
      const isToolTighter = ofTool.bucket.tokens < ofClient.bucket.tokens;
      return { allowed: true, state: stateOf(isToolTighter ? ofTool : ofClient) };
    },
  };
}

function clientLimit(limits: Partial<LimitSettings>, defaults: LimitSettings): BucketLimit {
  return {
    capacity: limits.burst ?? defaults.burst,
    perMinute: limits.requestsPerMinute ?? defaults.requestsPerMinute,
  };
}

function toolLimit(limits: Partial<LimitSettings>, defaults: LimitSettings): BucketLimit {
  return {
    capacity: limits.toolBurst ?? defaults.toolBurst,
    perMinute: limits.toolRequestsPerMinute ?? defaults.toolRequestsPerMinute,
  };
}

function stateOf({ name, bucket, limit }: Filled): LimitState {
  const { capacity, perMinute } = limit;
  const windowSeconds = perMinute > 0 ? Math.ceil((capacity * 60) / perMinute) : 0;
  return {
    limit: capacity,
    remaining: Math.floor(bucket.tokens),
    resetSeconds: Math.ceil(waitMs(bucket, limit, capacity) / 1000),
    policy: `"${name}";q=${capacity};w=${windowSeconds}`,
  };
}
