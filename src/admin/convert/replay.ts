/**
 * A replay's report as its message.
 */
import type { ReplayChange, ReplayReport } from "../../gen/types.ts";
import type { ReplayLine, ReplayTally } from "../../policy/replay-tally.ts";

const changeNames = {
  "newly-denied": "REPLAY_CHANGE_NEWLY_DENIED",
  "newly-allowed": "REPLAY_CHANGE_NEWLY_ALLOWED",
  obligations: "REPLAY_CHANGE_OBLIGATIONS",
  undetermined: "REPLAY_CHANGE_UNDETERMINED",
} as const satisfies Readonly<Record<ReplayLine["change"], ReplayChange>>;

export function fromReplayReport(
  report: ReturnType<ReplayTally["report"]>,
  about: {
    readonly draft: string;
    readonly stateRevision: number;
    readonly isComplete: boolean;
  },
): ReplayReport {
  const { byChange } = report;
  return {
    draft: about.draft,
    state_revision: about.stateRevision,
    calls: report.calls,
    unchanged: byChange.unchanged,
    newly_denied: byChange["newly-denied"],
    newly_allowed: byChange["newly-allowed"],
    obligations_changed: byChange.obligations,
    undetermined: byChange.undetermined,
    drifted: report.drifted,
    first_time_ms: report.firstTimeMs,
    last_time_ms: report.lastTimeMs,
    complete: about.isComplete,
    lines: report.lines.map((line) => ({
      change: changeNames[line.change],
      principal: line.principal,
      server: line.server,
      target: line.target,
      calls: line.calls,
      decided_now: line.decidedNow,
      decided_then: line.decidedThen,
      examples: line.examples.map(({ logId, seq, timeMs, correlationId }) => {
        return { log_id: logId, seq, time_ms: timeMs, correlation_id: correlationId ?? "" };
      }),
    })),
    without_line: report.withoutLine,
    reasons: report.reasons.map(([reason, calls]) => ({ reason, calls })),
  };
}
