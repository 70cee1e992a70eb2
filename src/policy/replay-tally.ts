/**
 * Counts what a replay finds: by what would change, principal and target, with a few examples each. Bounded, however
 * many calls there are: lines beyond the most are counted without a line.
 */

import type { Comparison } from "./comparison.ts";
import { recordedName } from "./reasons.ts";

export interface ReplayExample {
  readonly logId: string;
  readonly seq: number;
  readonly timeMs: number;
  readonly correlationId: string | undefined;
}

export interface ReplayLine {
  readonly change: Exclude<Comparison["change"], "unchanged">;
  readonly principal: string;
  readonly server: string;
  readonly target: string;
  readonly decidedNow: string;
  readonly decidedThen: string;
  calls: number;
  readonly examples: ReplayExample[];
}

export interface CountedCall {
  readonly principal: string;
  readonly server: string;
  readonly target: string;
  readonly example: ReplayExample;
  /** What decided it when it was made. */
  readonly decidedBy: string | undefined;
}

export interface ReplayTally {
  count(call: CountedCall, comparison: Comparison): void;
  report(): {
    readonly calls: number;
    readonly byChange: Readonly<Record<Comparison["change"], number>>;
    readonly drifted: number;
    /** Most calls first. */
    readonly lines: readonly ReplayLine[];
    readonly withoutLine: number;
    /** Why calls are undetermined, most calls first. */
    readonly reasons: readonly (readonly [string, number])[];
    readonly firstTimeMs: number;
    readonly lastTimeMs: number;
  };
}

const linesMax = 1_000;
const reasonsMax = 100;

export function createReplayTally(examplesMax: number): ReplayTally {
  const lines = new Map<string, ReplayLine>();
  const reasons = new Map<string, number>();
  const byChange: Record<Comparison["change"], number> = {
    unchanged: 0,
    "newly-denied": 0,
    "newly-allowed": 0,
    obligations: 0,
    undetermined: 0,
  };
  let calls = 0;
  let drifted = 0;
  let withoutLine = 0;
  let firstTimeMs = Number.MAX_SAFE_INTEGER;
  let lastTimeMs = 0;

  function lineOf(line: Omit<ReplayLine, "calls" | "examples">) {
    const key = JSON.stringify(Object.values(line));
    const known = lines.get(key);
    if (known !== undefined) return known;
    if (lines.size >= linesMax) return undefined;
    const added = { ...line, calls: 0, examples: [] };
    lines.set(key, added);
    return added;
  }

  function add(call: CountedCall, line: Omit<ReplayLine, "calls" | "examples">): void {
    const found = lineOf(line);
    if (found === undefined) {
      withoutLine += 1;
      return;
    }
    found.calls += 1;
    if (found.examples.length < examplesMax) found.examples.push(call.example);
  }

  return {
    count(call, comparison) {
      calls += 1;
      byChange[comparison.change] += 1;
      firstTimeMs = Math.min(firstTimeMs, call.example.timeMs);
      lastTimeMs = Math.max(lastTimeMs, call.example.timeMs);
      const { principal, server, target, decidedBy } = call;
      if (comparison.change === "undetermined") {
        const { change, reason } = comparison;
        const isKnown = reasons.has(reason) || reasons.size < reasonsMax;
        const told = isKnown ? reason : "other reasons";
        reasons.set(told, (reasons.get(told) ?? 0) + 1);
        add(call, { change, principal, server, target, decidedNow: told, decidedThen: "" });
        return;
      }
      const { change, now, drafted } = comparison;
      if (decidedBy !== undefined && decidedBy !== recordedName(now.ruleId)) drifted += 1;
      if (change === "unchanged") return;
      const decided = { decidedNow: now.ruleId, decidedThen: drafted.ruleId };
      add(call, { change, principal, server, target, ...decided });
    },
    report: () => ({
      calls,
      byChange,
      drifted,
      lines: [...lines.values()].sort((a, b) => b.calls - a.calls),
      withoutLine,
      reasons: [...reasons].sort(([, a], [, b]) => b - a),
      firstTimeMs: calls === 0 ? 0 : firstTimeMs,
      lastTimeMs,
    }),
  };
}
