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
    const tenant = textOr(facts.tenant, "");
    const subject = textOr(details.principal, "");
    const dataClass = textOr(facts.dataClass, unclassified);
    const month = months(draft.timeMs);
    const pair = keys.pairFor(tenant, subject, dataClass, month);
    if (typeof pair === "number") return pair;
    // Refusals are of no class: those of somebody known are to be recorded even while the vault is away (AZ-04).
    if (dataClass !== unclassified) void settle(keys.pairFor(tenant, subject, unclassified, month));
    return inTime(pair, untilMs);
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

/** Nobody waits for it. */
async function settle(pair: number | Promise<number>): Promise<void> {
  try {
    await pair;
  } catch {
    // The next record asks again.
  }
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
