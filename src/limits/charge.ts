/**
 * What a call is charged, and what whoever is charged is told. A charge names a kind of bucket, whose it is and how
 * many tokens the call takes from it. Both counters, `limiter.ts` in memory and `shared-limiter.ts` in Redis, take
 * lists of charges: all of them or none, and the first that cannot be paid is the one that is reported.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { type BucketLimit, waitMs } from "./token-bucket.ts";

/** Kinds of bucket. They name metrics and what agents read, so they are a fixed set. */
export type BucketName =
  | `${"client" | "user" | "tier"}${"" | "-10s" | "-hour" | "-day"}`
  | "tenant"
  | "server"
  | "tool"
  | "rule";

export interface NamedLimit extends BucketLimit {
  readonly name: BucketName;
  /** The quota as a `RateLimit-Policy` item, written once: `"client";q=60;w=60`. */
  readonly policy: string;
}

export interface Charge {
  readonly limit: NamedLimit;
  /** Whose bucket of that name. */
  readonly key: string;
  /** Tokens; more than the bucket can hold counts as all it can hold. */
  readonly cost: number;
}

/** Where one bucket stands; the shape of `Reply.limit`. */
export interface LimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the bucket is full again. */
  readonly resetSeconds: number;
  readonly policy: string;
}

export type LimitVerdict =
  | { readonly allowed: true; readonly state: LimitState | undefined }
  | { readonly allowed: false; readonly state: LimitState; readonly fault: Fault };

export function namedLimit(name: BucketName, capacity: number, perMinute: number): NamedLimit {
  const windowSeconds = perMinute > 0 ? Math.ceil((capacity * 60) / perMinute) : 0;
  return { name, capacity, perMinute, policy: `"${name}";q=${capacity};w=${windowSeconds}` };
}

export function costOf({ cost, limit }: Charge): number {
  return cost < limit.capacity ? cost : limit.capacity;
}

export function stateOf(limit: NamedLimit, tokens: number): LimitState {
  return {
    limit: limit.capacity,
    remaining: Math.floor(tokens),
    resetSeconds: Math.ceil(waitMs(tokens, limit, limit.capacity) / 1000),
    policy: limit.policy,
  };
}

export function refusalOf(charge: Charge, tokens: number): LimitVerdict {
  const { limit } = charge;
  const fault = createFault("rate-limited", `Rate limited by the ${limit.name} limit`, {
    retryAfterMs: Math.ceil(waitMs(tokens, limit, costOf(charge))),
    reason: `${limit.name}-rate`,
  });
  return { allowed: false, state: stateOf(limit, tokens), fault };
}

/** Of two buckets the one with fewer tokens left: that one is reported. */
export function tighter(
  one: LimitState | undefined,
  other: LimitState | undefined,
): LimitState | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.remaining < one.remaining ? other : one;
}
