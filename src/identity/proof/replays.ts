/**
 * Proofs that were used already: a signature's nonce, a DPoP proof's `jti`. Bounded as a whole and for each caller,
 * and full means refused: forgetting one early would let it in again. Each node remembers its own.
 */
import { hash } from "node:crypto";
import type { Clock } from "../../lib/clock.ts";

export interface Replays {
  /** Remembers one until `untilMs` (wall clock). "replayed" where it is known, "full" where there is no room. */
  take(owner: string, nonce: string, untilMs: number): "fresh" | "replayed" | "full";
  size(): number;
}

export function createReplays(deps: { readonly clock: Clock; readonly usedMax: number }): Replays {
  const { clock, usedMax } = deps;
  const perOwnerMax = Math.max(1, Math.floor(usedMax / 4));
  /** By owner and nonce, in the order they came: nearly the order in which they end. */
  const used = new Map<string, { readonly owner: string; readonly untilMs: number }>();
  const counts = new Map<string, number>();

  function drop(key: string, owner: string): void {
    used.delete(key);
    const left = (counts.get(owner) ?? 1) - 1;
    if (left === 0) counts.delete(owner);
    else counts.set(owner, left);
  }

  /** Looks at the oldest few; at everything only where there is no room otherwise. */
  function dropEnded(all: boolean): void {
    const nowMs = clock.nowMs();
    let looked = 0;
    for (const [key, { owner, untilMs }] of used) {
      if (!all && looked >= 16) return;
      looked += 1;
      if (untilMs <= nowMs) drop(key, owner);
    }
  }

  const isFull = (owner: string) => used.size >= usedMax || (counts.get(owner) ?? 0) >= perOwnerMax;

  let fullSweepAtMs = Number.NEGATIVE_INFINITY;
  return {
    take(owner, nonce, untilMs) {
      const key = hash("sha256", JSON.stringify([owner, nonce]), "base64");
      const known = used.get(key);
      if (known !== undefined && known.untilMs > clock.nowMs()) return "replayed";
      if (known !== undefined) drop(key, owner);
      dropEnded(false);
      // At most once a second: a caller at its bound must not make us count everything each time.
      if (isFull(owner) && clock.monotonicMs() - fullSweepAtMs >= 1_000) {
        fullSweepAtMs = clock.monotonicMs();
        dropEnded(true);
      }
      if (isFull(owner)) return "full";
      used.set(key, { owner, untilMs });
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
      return "fresh";
    },
    size: () => used.size,
  };
}
