/**
 * Finds the pair of keys for each record before it is posted: at once for whoever was there a moment ago, otherwise
 * after asking the vault, within the record's own deadline. Used by `spool.ts`. A record whose keys cannot be had is
 * never written with its values in clear.
 */
import type { GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import type { SealingKeys } from "../../vault/keys.ts";
import type { RecordDraft } from "../record.ts";
import { unavailable } from "./callers.ts";

export interface SpoolPairing {
  /** The reference of the keys for a record's values, 0 where it has none. Rejects with `audit-unavailable`. */
  pairOf(draft: RecordDraft, untilMs: number): number | Promise<number>;
  /** Records waiting for their keys. */
  waiting(): number;
  /** Resolves when those that wait now have their keys, or were refused. */
  settled(): Promise<unknown>;
}

/** What a record of no class of data counts as. */
const unclassified = "UNCLASSIFIED";

export function createSpoolPairing(deps: {
  readonly keys: Pick<SealingKeys, "pairFor">;
  readonly clock: Clock;
}): SpoolPairing {
  const { keys, clock } = deps;
  const months = createMonths();
  const waiting = new Set<Promise<number>>();

  function pairOf(draft: RecordDraft, untilMs: number): number | Promise<number> {
    const { facts, details } = draft;
    if (!hasValues(details)) return 0;
    const pair = keys.pairFor(
      textOr(facts.tenant, ""),
      textOr(details.principal, ""),
      textOr(facts.dataClass, unclassified),
      months(draft.timeMs),
    );
    return typeof pair === "number" ? pair : inTime(pair, untilMs);
  }

  function inTime(pair: Promise<number>, untilMs: number): Promise<number> {
    const expired = Promise.withResolvers<number>();
    const timer = setTimeout(
      () => expired.reject(noKeys()),
      Math.max(0, untilMs - clock.monotonicMs()),
    );
    const settled = Promise.race([pair, expired.promise])
      .catch((): never => {
        throw noKeys();
      })
      .finally(() => {
        clearTimeout(timer);
        waiting.delete(settled);
      });
    waiting.add(settled);
    return settled;
  }

  return {
    pairOf,
    waiting: () => waiting.size,
    settled: () => Promise.allSettled(waiting),
  };
}

function noKeys(): GatewayError {
  return unavailable("no-sealing-keys");
}

function hasValues(details: RecordDraft["details"]): boolean {
  for (const name in details) if (details[name] !== undefined) return true;
  return false;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

/** The UTC month of a time, such as `2026-11`; computed once a month. */
function createMonths(): (timeMs: number) => string {
  let month = "";
  let fromMs = 0;
  let untilMs = 0;
  return (timeMs) => {
    if (timeMs >= fromMs && timeMs < untilMs) return month;
    const date = new Date(timeMs);
    fromMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
    untilMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
    month = date.toISOString().slice(0, 7);
    return month;
  };
}
