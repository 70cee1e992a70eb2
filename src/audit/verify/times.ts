/**
 * Whether a record's time can be true: at most five minutes below the latest time before it in its log. A `clock.jump`
 * record says that the clock was set, and time starts anew from it; an outcome may be as old as the call it closes.
 */
import type { EnvelopeView } from "../envelope.ts";

const toleranceMs = 300_000;
/** Calls in flight whose beginning is remembered. */
const intentsMax = 100_000;

export interface Times {
  /** Whether the record's time is too far back. */
  isBackDated(envelope: EnvelopeView): boolean;
}

/** `startSeq`: records up to it are not at hand, so what they began may be as old as it likes. */
export function createTimes(startSeq: number): Times {
  let latestMs = Number.NEGATIVE_INFINITY;
  const intents = new Map<number, number>();

  function isBackDated({ seq, time, event, facts }: EnvelopeView): boolean {
    const floorMs = Math.min(latestMs - toleranceMs, beginningOf(event, facts.intent));
    if (event === "call.intent") intents.set(seq, time);
    if (intents.size > intentsMax) intents.delete(intents.keys().next().value ?? 0);
    latestMs = event === "clock.jump" ? time : Math.max(latestMs, time);
    return event !== "clock.jump" && time < floorMs;
  }

  function beginningOf(event: string, intent: unknown): number {
    if (event !== "call.outcome" || typeof intent !== "number") return Number.POSITIVE_INFINITY;
    if (intent <= startSeq) return Number.NEGATIVE_INFINITY;
    const beganMs = intents.get(intent);
    intents.delete(intent);
    return beganMs ?? Number.POSITIVE_INFINITY;
  }

  return { isBackDated };
}
