/**
 * Counts what callers use, in the memory of this node: a bucket for each charge. All buckets of a list are taken from,
 * in order, or none is. Each kind is kept and bounded by itself, so nobody pushes a bucket of one kind out by filling
 * another; a bucket that falls out starts full again.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import {
  type BucketName,
  type Charge,
  costOf,
  type LimitVerdict,
  refusalOf,
  stateOf,
} from "./charge.ts";
import { type Bucket, createBucket, returnToken, takeToken } from "./token-bucket.ts";

export interface LimiterDeps {
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  /** Buckets kept of each kind. Default 50,000. */
  readonly keysMax?: number;
}

export interface Limiter {
  /**
   * `state` is of the bucket with the fewest tokens left, or of the one that refuses. `nowMs` is monotonic; a call's
   * own beginning will do, and spares the clock.
   */
  take(charges: readonly Charge[], nowMs?: number): LimitVerdict;
  /** Puts back what was taken for a call that was refused after all. */
  giveBack(charges: readonly Charge[]): void;
  /** What another counter knows better: the bucket holds this many tokens now. */
  settle(charge: Charge, tokens: number): void;
}

const nothingAsked: LimitVerdict = Object.freeze({ allowed: true, state: undefined });

export function createLimiter({ clock, metrics, keysMax = 50_000 }: LimiterDeps): Limiter {
  /** Made as they are needed: each takes memory for all it may hold. */
  const kinds = new Map<BucketName, LRUCache<string, Bucket>>();

  function bucketsOf(name: BucketName): LRUCache<string, Bucket> {
    const known = kinds.get(name);
    if (known !== undefined) return known;
    const made = new LRUCache<string, Bucket>({ max: keysMax });
    kinds.set(name, made);
    return made;
  }

  function find({ limit, key }: Charge, nowMs: number): Bucket {
    const buckets = bucketsOf(limit.name);
    const known = buckets.get(key);
    if (known !== undefined) return known;
    const bucket = createBucket(limit, nowMs);
    buckets.set(key, bucket);
    return bucket;
  }

  function giveBack(charges: readonly Charge[], count = charges.length): void {
    for (let index = 0; index < count; index += 1) {
      const charge = charges[index];
      if (charge === undefined) return;
      // One that fell out in the meantime is full when it is next asked for.
      const bucket = kinds.get(charge.limit.name)?.get(charge.key);
      if (bucket !== undefined) returnToken(bucket, charge.limit, costOf(charge));
    }
  }

  return {
    take(charges, nowMs = clock.monotonicMs()) {
      let tightest: Charge | undefined;
      let fewest = Number.POSITIVE_INFINITY;
      for (let index = 0; index < charges.length; index += 1) {
        const charge = charges[index];
        if (charge === undefined) break;
        const bucket = find(charge, nowMs);
        if (!takeToken(bucket, charge.limit, nowMs, costOf(charge))) {
          giveBack(charges, index);
          metrics.count("mcp_gateway_rate_limited_total", { limit: charge.limit.name });
          return refusalOf(charge, bucket.tokens);
        }
        if (bucket.tokens < fewest) {
          fewest = bucket.tokens;
          tightest = charge;
        }
      }
      if (tightest === undefined) return nothingAsked;
      return { allowed: true, state: stateOf(tightest.limit, fewest) };
    },
    giveBack: (charges) => giveBack(charges),
    settle(charge, tokens) {
      const nowMs = clock.monotonicMs();
      const bucket = find(charge, nowMs);
      bucket.tokens = Math.min(charge.limit.capacity, tokens);
      bucket.updatedMs = nowMs;
    },
  };
}
