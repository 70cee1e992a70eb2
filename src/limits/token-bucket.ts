/**
 * Token-bucket arithmetic: a bucket starts full, empties by what a call costs and fills at a steady rate. Pure but for
 * the bucket it is handed; `limiter.ts` keeps the buckets and `source-limit.ts` its own.
 */
export interface BucketLimit {
  /** Most tokens it can hold: the largest burst. */
  readonly capacity: number;
  /** Tokens added in a minute. */
  readonly perMinute: number;
}

export interface Bucket {
  tokens: number;
  updatedMs: number;
}

const minuteMs = 60_000;
/** Longest wait ever advised, also where a bucket never fills again. */
const waitMsMax = 3_600_000;

export function createBucket(limit: BucketLimit, nowMs: number): Bucket {
  return { tokens: limit.capacity, updatedMs: nowMs };
}

/** Takes tokens, one by default; false, and nothing taken, where there are too few. A lowered capacity applies at once. */
export function takeToken(bucket: Bucket, limit: BucketLimit, nowMs: number, cost = 1): boolean {
  const elapsedMs = nowMs - bucket.updatedMs;
  // Calls come with the time they began: one that began earlier must not make the next refill twice.
  if (elapsedMs > 0) {
    bucket.tokens += (elapsedMs * limit.perMinute) / minuteMs;
    bucket.updatedMs = nowMs;
  }
  if (bucket.tokens > limit.capacity) bucket.tokens = limit.capacity;
  if (bucket.tokens < cost) return false;
  bucket.tokens -= cost;
  return true;
}

/** Puts back tokens taken a moment ago. */
export function returnToken(bucket: Bucket, limit: BucketLimit, cost = 1): void {
  bucket.tokens = Math.min(limit.capacity, bucket.tokens + cost);
}

/** How long until there are this many tokens. */
export function waitMs(tokens: number, limit: BucketLimit, wanted: number): number {
  const missing = wanted - tokens;
  if (missing <= 0) return 0;
  if (limit.perMinute <= 0 || wanted > limit.capacity) return waitMsMax;
  return Math.min(waitMsMax, (missing * minuteMs) / limit.perMinute);
}
