/**
 * Token-bucket arithmetic: a bucket starts full, empties by one a call and fills at a steady rate. Pure but for the
 * bucket it is handed; `limiter.ts` keeps the buckets and `source-limit.ts` its own.
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

/** Takes one token; false where there is none. A lowered capacity applies at once. */
export function takeToken(bucket: Bucket, limit: BucketLimit, nowMs: number): boolean {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedMs);
  const filled = bucket.tokens + (elapsedMs * limit.perMinute) / minuteMs;
  bucket.tokens = Math.min(limit.capacity, filled);
  bucket.updatedMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/** Puts back a token taken a moment ago. */
export function returnToken(bucket: Bucket, limit: BucketLimit): void {
  bucket.tokens = Math.min(limit.capacity, bucket.tokens + 1);
}

/** How long until there are this many tokens. */
export function waitMs(bucket: Bucket, limit: BucketLimit, tokens: number): number {
  const missing = tokens - bucket.tokens;
  if (missing <= 0) return 0;
  if (limit.perMinute <= 0 || tokens > limit.capacity) return waitMsMax;
  return Math.min(waitMsMax, (missing * minuteMs) / limit.perMinute);
}
