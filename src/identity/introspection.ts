/**
 * What is remembered of introspection answers (J13): each for a configured time and never beyond the token's expiry, one
 * question in flight for a token, "not active" remembered too. A token behind an open connection is asked about again
 * in the background, so its revocation is seen there within the same time (AN-14).
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Introspected, IntrospectionClient } from "./introspection-client.ts";

export interface IntrospectionOptions {
  readonly client: IntrospectionClient;
  readonly clock: Clock;
  readonly rememberMs: number;
  /** Tokens remembered. Default 10,000. */
  readonly entriesMax?: number;
  /** Questions in flight at once; beyond them a token is refused unasked. Default 64. */
  readonly askingMax?: number;
  /** Told each failure to ask, at most one in 10 s. */
  readonly onFailure?: (why: string) => void;
}

export interface Introspection {
  /** What the server said within the last `rememberMs`, asking now where it said nothing; rejects where it cannot. */
  ask(token: string, digest: string): Promise<Introspected>;
  /** Whether there is an answer that is not too old to admit somebody on. */
  isFresh(digest: string): boolean;
  /**
   * Whether a token found active before still is, as far as is known. Asks in the background once the answer is old;
   * false after twice `rememberMs` without one.
   */
  stillActive(token: string, digest: string): boolean;
}

interface Entry {
  readonly answer: Introspected;
  readonly atMs: number;
}

const failureEveryMs = 10_000;

export function createIntrospection(options: IntrospectionOptions): Introspection {
  const { client, clock, rememberMs, askingMax = 64 } = options;
  const entries = new LRUCache<string, Entry>({ max: options.entriesMax ?? 10_000 });
  const asking = new Map<string, Promise<Introspected>>();
  /** After a failure a token is not asked about again at once: the background asks twice a second. */
  const failedAtMs = new LRUCache<string, number>({ max: options.entriesMax ?? 10_000 });
  let toldAtMs = Number.NEGATIVE_INFINITY;

  async function question(token: string, digest: string): Promise<Introspected> {
    try {
      const answer = await client.ask(token);
      entries.set(digest, { answer, atMs: clock.monotonicMs() });
      failedAtMs.delete(digest);
      return answer;
    } catch (error) {
      const nowMs = clock.monotonicMs();
      failedAtMs.set(digest, nowMs);
      if (nowMs - toldAtMs >= failureEveryMs) {
        toldAtMs = nowMs;
        options.onFailure?.(error instanceof Error ? error.message : String(error));
      }
      throw error;
    } finally {
      asking.delete(digest);
    }
  }

  function askOnce(token: string, digest: string): Promise<Introspected> {
    const already = asking.get(digest);
    if (already !== undefined) return already;
    if (asking.size >= askingMax) return Promise.reject(new Error("too many questions at once"));
    const answering = question(token, digest);
    asking.set(digest, answering);
    return answering;
  }

  function mayRetry(digest: string): boolean {
    const failed = failedAtMs.get(digest);
    return failed === undefined || clock.monotonicMs() - failed >= Math.min(rememberMs / 4, 5_000);
  }

  /** The answer, where it is not too old. */
  function freshEntry(digest: string): Entry | undefined {
    const known = entries.get(digest);
    return known !== undefined && clock.monotonicMs() - known.atMs < rememberMs ? known : undefined;
  }

  return {
    isFresh: (digest) => freshEntry(digest) !== undefined,
    ask(token, digest) {
      const known = freshEntry(digest);
      return known === undefined ? askOnce(token, digest) : Promise.resolve(known.answer);
    },
    stillActive(token, digest) {
      const known = entries.get(digest);
      // Crowded out by more tokens than are remembered: then nothing says that it is active.
      if (known === undefined) return false;
      const age = clock.monotonicMs() - known.atMs;
      if (age >= rememberMs && mayRetry(digest)) askOnce(token, digest).catch(() => undefined);
      return known.answer !== undefined && age < 2 * rememberMs;
    },
  };
}
