/**
 * Puts whoever ignores refusals aside for a while: a principal, or a source before anybody is authenticated. Each is
 * counted for a minute; who was refused too often in it is answered at once, without a look at any bucket, until the
 * time is over or an operator lets them out. Kept in the memory of this node; where nodes share limits
 * `shared-penalties.ts` carries them from one to the other.
 */
import { LRUCache } from "lru-cache";
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export const penaltyKinds = ["principal", "source"] as const;
export type PenaltyKind = (typeof penaltyKinds)[number];

export interface Penalty {
  readonly kind: PenaltyKind;
  /** The principal's id, or the source as `sourceOf` names it. */
  readonly key: string;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  /** Refusals that led to it. */
  readonly refusals: number;
}

export type PenaltyEnd = "expired" | "cleared";

export interface PenaltyBoxDeps {
  /** Refusals within a minute that put somebody aside; 0 = never. */
  readonly refusalsMax: number;
  readonly penaltyMs: number;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  /** Called when somebody of this node's own is put aside, and when they are let out. */
  readonly onStart: (penalty: Penalty) => void;
  readonly onEnd: (penalty: Penalty, why: PenaltyEnd) => void;
  /** Put aside at once. Default 10,000; beyond it nobody more is. */
  readonly keysMax?: number;
}

export interface PenaltyBox {
  /** A fault while the caller is put aside. */
  check(kind: PenaltyKind, key: string): Fault | undefined;
  noteRefusal(kind: PenaltyKind, key: string): void;
  /** Soonest to end first. */
  list(): readonly Penalty[];
  /** Lets somebody out; false where they are not in. */
  clear(kind: PenaltyKind, key: string): boolean;
  /** Lets out whose time is over; called every second. */
  sweep(): void;
  /** Takes over what another node decided; its own record tells of it. */
  adopt(penalty: Penalty): void;
  /** Forgets what another node let out. */
  forget(kind: PenaltyKind, key: string): void;
}

interface Kept {
  readonly penalty: Penalty;
  readonly untilMs: number;
  /** Decided here, so its end is told here. */
  readonly isOwn: boolean;
}

const windowMs = 60_000;
export const penaltyReason = "penalty";

export function createPenaltyBox(deps: PenaltyBoxDeps): PenaltyBox {
  const { refusalsMax, penaltyMs, clock, metrics, keysMax = 10_000 } = deps;
  const kept = new Map<string, Kept>();
  const tallies = new LRUCache<string, { count: number; readonly sinceMs: number }>({
    max: keysMax,
  });

  function end(id: string, why: PenaltyEnd): boolean {
    const one = kept.get(id);
    if (one === undefined) return false;
    kept.delete(id);
    tallies.delete(id);
    // Whoever clears it tells of it, wherever it was decided.
    if (one.isOwn || why === "cleared") deps.onEnd(one.penalty, why);
    return true;
  }

  function putAside(kind: PenaltyKind, key: string, refusals: number): void {
    if (kept.size >= keysMax) return;
    const startedAtMs = clock.nowMs();
    const penalty = { kind, key, startedAtMs, endsAtMs: startedAtMs + penaltyMs, refusals };
    const untilMs = clock.monotonicMs() + penaltyMs;
    kept.set(idOf(kind, key), { penalty, untilMs, isOwn: true });
    deps.onStart(penalty);
  }

  return {
    check(kind, key) {
      if (kept.size === 0) return undefined;
      const id = idOf(kind, key);
      const one = kept.get(id);
      if (one === undefined) return undefined;
      const leftMs = one.untilMs - clock.monotonicMs();
      if (leftMs <= 0) {
        end(id, "expired");
        return undefined;
      }
      metrics.count("mcp_gateway_rate_limited_total", { limit: penaltyReason });
      return createFault("rate-limited", "Put aside after too many refused requests", {
        retryAfterMs: Math.ceil(leftMs),
        reason: penaltyReason,
      });
    },
    noteRefusal(kind, key) {
      if (refusalsMax === 0) return;
      const id = idOf(kind, key);
      if (kept.has(id)) return;
      const nowMs = clock.monotonicMs();
      const tally = tallies.get(id);
      const isFresh = tally !== undefined && nowMs - tally.sinceMs < windowMs;
      const count = (isFresh ? tally.count : 0) + 1;
      if (isFresh) tally.count = count;
      else tallies.set(id, { count, sinceMs: nowMs });
      if (count >= refusalsMax) putAside(kind, key, count);
    },
    list: () =>
      [...kept.values()]
        .map(({ penalty }) => penalty)
        .sort((one, other) => one.endsAtMs - other.endsAtMs),
    clear: (kind, key) => end(idOf(kind, key), "cleared"),
    sweep() {
      const nowMs = clock.monotonicMs();
      for (const [id, { untilMs }] of kept) if (untilMs <= nowMs) end(id, "expired");
    },
    adopt(penalty) {
      const id = idOf(penalty.kind, penalty.key);
      const leftMs = penalty.endsAtMs - clock.nowMs();
      if (leftMs <= 0 || kept.has(id) || kept.size >= keysMax) return;
      kept.set(id, { penalty, untilMs: clock.monotonicMs() + leftMs, isOwn: false });
    },
    forget(kind, key) {
      kept.delete(idOf(kind, key));
      tallies.delete(idOf(kind, key));
    },
  };
}

function idOf(kind: PenaltyKind, key: string): string {
  return `${kind} ${key}`;
}
